import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from toy_data import write_folder

from minicnn.cli import main
from minicnn.cli.predict import progress_bar
from minicnn.datasets.images import load_digit_image
from minicnn.ops.activations import softmax
from minicnn.runs import TrainConfig, create_run, load_data, open_run, train


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with the toy data, and a run that was trained on them."""
    place = tmp_path_factory.mktemp("predict")
    config = TrainConfig(dataset=str(write_folder(place / "toy")), epochs=2, batch_size=20, threads=1)
    data = load_data(config)
    train(create_run(config, data, place / "run"), data)
    drawing = np.full((90, 60), 240, np.uint8)
    drawing[20:70, 25:35] = 15
    Image.fromarray(drawing).save(place / "one.png")
    Image.fromarray(255 - drawing).convert("RGB").save(place / "light.jpg")
    (place / "bad.png").write_bytes((place / "one.png").read_bytes()[:60])
    return place


def test_predict_prints_the_answer_and_the_three_best(place, capsys):
    assert (
        main(["predict", "--digit", str(place / "run"), str(place / "one.png"), str(place / "light.jpg")])
        == 0
    )
    captured = capsys.readouterr()
    logits = open_run(place / "run").model.predict(load_digit_image(place / "one.png")[np.newaxis])
    probabilities = softmax(logits)[0]
    first, second, third = np.argsort(-probabilities)[:3]
    assert captured.out.splitlines()[0] == (
        f"{place / 'one.png'}: {first} ({100 * probabilities[first]:.1f} %), "
        f"{second} ({100 * probabilities[second]:.1f} %), {third} ({100 * probabilities[third]:.1f} %)"
    )
    answers = re.findall(r": (\d) \(", captured.out)
    assert len(answers) == 2
    assert answers[0] == answers[1]  # dark on light, light on dark
    assert captured.err == ""


def test_predict_continues_after_an_unreadable_picture(place, capsys):
    names = [str(place / name) for name in ("bad.png", "nowhere.png", "toy", "one.png")]
    assert main(["predict", "--digit", str(place / "run"), *names]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{place / 'one.png'}: ")
    assert captured.out.count("\n") == 1
    assert captured.err.count("\n") == 3
    assert all(line.startswith("minicnn predict: ") for line in captured.err.splitlines())


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="no terminals for tests on this system")
def test_a_bar_does_not_stand_between_the_answers(monkeypatch, tmp_path):
    (first, one), (second, other) = os.openpty(), os.openpty()
    answers = tmp_path / "answers"
    with open(one, "w") as stderr, open(other, "w") as terminal, answers.open("w") as file:
        monkeypatch.setattr(sys, "stderr", stderr)
        for stdout, hidden in ((terminal, True), (file, False)):
            monkeypatch.setattr(sys, "stdout", stdout)
            with progress_bar(3) as bar:
                assert bool(bar.disable) == hidden
        monkeypatch.undo()
    os.close(first)
    os.close(second)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_names_in_a_folder_are_no_commands_to_the_terminal(place, tmp_path, capsys):
    (tmp_path / "pictures").mkdir()
    os.mkfifo(tmp_path / "pictures" / "\x1b[2J.png")
    (tmp_path / "pictures" / "a\r\n.png").write_bytes(b"no picture")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "config.json").touch()
    (tmp_path / "run" / "\x1b[2J.json").mkdir()
    for command in (["--digit", place / "run", tmp_path / "pictures"], [tmp_path / "run", "x.png"]):
        assert main(["predict", *map(str, command)]) == 2
        message = capsys.readouterr().err
        assert "\\x1b[2J" in message
        assert all(line.startswith("minicnn predict: ") for line in message.splitlines())
        assert message.replace("\n", "").isprintable()


def test_predict_needs_a_net_for_digits(tmp_path, capsys):
    config = TrainConfig(dataset=str(write_folder(tmp_path / "toy", size=16)), epochs=0)
    data = load_data(config)
    train(create_run(config, data, tmp_path / "run"), data)
    assert main(["predict", "--digit", str(tmp_path / "run"), "x.png"]) == 2
    assert capsys.readouterr().err == (
        "minicnn predict: pictures become digits of shape (28, 28, 1), but this model takes (16, 16, 1)\n"
    )


def test_predict_pads_for_the_net_of_1998(place, tmp_path, capsys):
    config = TrainConfig(model="lenet5-1998", dataset=str(place / "toy"), epochs=0)
    data = load_data(config)
    train(create_run(config, data, tmp_path / "run"), data)
    assert main(["predict", "--digit", str(tmp_path / "run"), str(place / "one.png")]) == 0
    assert capsys.readouterr().out.startswith(str(place / "one.png"))


def test_predict_without_pillow_prints_how_to_get_it(place):
    code = "import sys; sys.modules['PIL'] = None; from minicnn.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "predict", "--digit", str(place / "run"), str(place / "one.png")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith("minicnn predict: reading image files needs Pillow: pip install")
    assert result.stderr.count("\n") == 1
