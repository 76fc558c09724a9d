"""Every command, for a net and layers of the user's own, from a run folder and from a model file alone."""

import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
from cli.own_net import SOURCE
from PIL import Image
from toy_data import images_of, write_folder

from minicnn import load_model, save_model
from minicnn.cli import main
from minicnn.ops.activations import softmax
from minicnn.runs import TrainConfig, create_run, evaluate, load_data, open_trained
from minicnn.runs.sections import SECTIONS, Evaluation
from minicnn.runs.user_code import custom_layers, make_model


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Return a folder with a file of code, toy data, pictures, a run and its model file alone."""
    place = tmp_path_factory.mktemp("own")
    (place / "nets.py").write_text(SOURCE)
    write_folder(place / "toy")
    (place / "pictures" / "deep").mkdir(parents=True)
    for i, image in enumerate(images_of(np.arange(3), np.random.default_rng(3))):
        Image.fromarray(image[..., 0]).save(place / "pictures" / f"{i}.png")
    shutil.move(place / "pictures" / "2.png", place / "pictures" / "deep" / "2.PNG")
    (place / "pictures" / "notes.txt").write_text("no picture")
    for hidden in (".thumbnails", "__MACOSX"):
        shutil.copytree(place / "pictures" / "deep", place / "pictures" / hidden)
    assert main(train(place, "run")) == 0
    model = load_model(place / "run" / "model.safetensors", custom_layers([str(place / "nets.py")]))
    names = [f"class {letter}" for letter in "abcdefghij"]
    save_model(model, place / "net.safetensors", class_names=names, preprocessing={"resize": "pad"})
    return place


def train(place, name, *options, net="tiny"):
    settings = ["--epochs", "15", "--batch-size", "16", "--lr", "0.01", "--threads", "1"]
    model = f"{place / 'nets.py'}:{net}"
    data = ["--dataset", str(place / "toy"), "--out", str(place / name)]
    return ["train", "--model", model, *data, *settings, *options]


def custom(place):
    return ["--custom", str(place / "nets.py")]


def test_a_run_folder_holds_its_model_and_knows_how_it_was_made(place):
    model = load_model(place / "run" / "model.safetensors", custom_layers([str(place / "nets.py")]))
    assert model.made_by["settings"]["model"] == "nets.py:tiny"
    assert model.made_by["settings"]["dataset"] == "toy"  # no path of this machine
    assert len(model.made_by["data_sha256"]) == 64
    assert json.loads((place / "run" / "result.json").read_text())["test_accuracy"] > 0.9


def test_a_run_with_own_layers_needs_their_file_by_name(place, capsys):
    for command in (["evaluate"], ["predict", "x.png"], ["report"], ["profile"], ["summary"], ["demo"]):
        assert main([command[0], str(place / "run"), *command[1:]]) == 2
        assert capsys.readouterr().err == (
            f"minicnn {command[0]}: {place / 'run' / 'model.safetensors'} cannot be loaded as a model: "
            "unknown layers: Gate; name the file that defines them: --custom FILE.py\n"
        )


def test_evaluate_names_the_classes_of_a_model_file(place, capsys):
    command = ["evaluate", str(place / "net.safetensors"), *custom(place)]
    assert main(command) == 2
    assert "does not hold its data set: give --dataset" in capsys.readouterr().err
    assert main([*command, "--dataset", str(place / "toy")]) == 0
    assert "class a" in capsys.readouterr().out
    assert main([*command, "--dataset", str(place / "toy"), "--json"]) == 0
    from_file = json.loads(capsys.readouterr().out)
    assert main(["evaluate", str(place / "run"), *custom(place), "--json"]) == 0
    from_run = json.loads(capsys.readouterr().out)
    assert from_file["classes"][9] == "class j"
    for key in ("loss", "confusion"):
        assert from_file[key] == from_run[key]


def test_predict_prepares_pictures_as_training_did(place, capsys):
    command = ["predict", str(place / "net.safetensors"), *custom(place), str(place / "pictures"), "--csv"]
    assert main([*command, "--top", "2"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    rows = list(csv.reader(io.StringIO(captured.out)))
    assert rows[0] == ["file", "class", "probability", "class_2", "probability_2"]
    found = [str(place / "pictures" / name) for name in ("0.png", "1.png", "deep/2.PNG")]
    assert [row[0] for row in rows[1:]] == found
    assert [row[1] for row in rows[1:]] == ["class a", "class b", "class c"]
    model = load_model(place / "net.safetensors", custom_layers([str(place / "nets.py")]))
    pixels = np.stack([np.asarray(Image.open(path))[..., None] for path in found])
    expected = softmax(model.predict(pixels)).max(axis=1)
    np.testing.assert_allclose([float(row[2]) for row in rows[1:]], expected, atol=1e-6)


def test_predict_says_if_the_file_does_not_tell_how_pictures_became_inputs(place, capsys):
    assert main(["predict", str(place / "run"), *custom(place), str(place / "pictures" / "1.png")]) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith(f"{place / 'pictures' / '1.png'}: 1 (")
    assert captured.err == (
        "minicnn predict: tiny does not say how pictures became its inputs: each is cropped to 28x28\n"
    )


def test_predict_scales_as_the_file_says(place, tmp_path, capsys):
    model = load_model(place / "net.safetensors", custom_layers([str(place / "nets.py")]))
    save_model(model, tmp_path / "net.safetensors", preprocessing={"scale": -1 / 255, "offset": 1})
    inverted = 255 - np.asarray(Image.open(place / "pictures" / "1.png"))
    Image.fromarray(inverted).save(tmp_path / "1.png")
    files = [str(tmp_path / "net.safetensors"), *custom(place), str(tmp_path / "1.png"), "--top", "1"]
    assert main(["predict", *files]) == 0
    assert ": class b (" in capsys.readouterr().out


def test_predict_of_an_empty_folder_and_of_none(place, tmp_path, capsys):
    files = ["predict", str(place / "net.safetensors"), *custom(place)]
    assert main([*files, str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"minicnn predict: {tmp_path} has no pictures\n"
    assert main([*files, str(tmp_path), "--top", "0"]) == 2
    assert "--top must be at least 1, got 0" in capsys.readouterr().err


def test_summary_and_profile_of_a_model_file_and_of_a_name(place, capsys):
    for source in (
        [str(place / "net.safetensors"), *custom(place)],
        ["--model", f"{place / 'nets.py'}:tiny", "--input", "28,28,1", "--classes", "10"],
    ):
        assert main(["summary", *source]) == 0
        assert "1 Gate" in capsys.readouterr().out
        assert main(["profile", *source, "--steps", "1", "--batch-size", "2"]) == 0
        assert "1 Gate" in capsys.readouterr().out


def test_a_model_file_has_no_history_to_report(place):
    run = open_trained(place / "net.safetensors", custom_layers([str(place / "nets.py")]))
    images, labels = images_of(np.arange(10), np.random.default_rng(0)), np.arange(10)
    evaluation = Evaluation(run, "test", images, labels, *evaluate(run.model, images, labels))
    assert evaluation.headline.startswith("net.safetensors on ")
    assert evaluation.names[2] == "class c"
    assert [
        *SECTIONS["Training"](evaluation),
        *SECTIONS["Software"](evaluation),
        *SECTIONS["Learning curves"](evaluation),
    ] == []


@pytest.mark.campaign
def test_report_of_a_model_file_lies_beside_it(place):
    file, data = str(place / "net.safetensors"), ["--dataset", str(place / "toy"), "--limit", "20"]
    assert main(["report", file, *custom(place), *data]) == 0
    page = (place / "net.html").read_text()
    assert "net.safetensors on" in page
    assert "of class " in page
    assert "Learning curves" not in page


def test_a_run_with_an_own_net_resumes_bit_for_bit(place, capsys):
    assert main(train(place, "stopped", "--checkpoint-every", "7")) == 0
    shutil.rmtree(place / "stopped" / "checkpoints" / "step-00000030.safetensors", ignore_errors=True)
    newest = max((place / "stopped" / "checkpoints").glob("step-*"))
    for file in (newest, place / "stopped" / "model.safetensors", place / "stopped" / "result.json"):
        file.unlink()
    assert main(["train", "--resume", str(place / "stopped")]) == 2
    assert "name the file that defines them: --custom FILE.py" in capsys.readouterr().err
    assert main(["train", "--resume", str(place / "stopped"), *custom(place)]) == 0
    for name in ("model.safetensors", "history.csv"):
        assert (place / "stopped" / name).read_bytes() == (place / "run" / name).read_bytes()


def test_a_built_model_keeps_its_weights(place):
    config = TrainConfig(model=f"{place / 'nets.py'}:built", dataset=str(place / "toy"))
    run = create_run(config, load_data(config), place / "built")
    built = make_model(config.model, 10)
    assert run.model is not built
    assert all(map(np.array_equal, run.model.get_weights(), built.get_weights()))


def test_a_net_of_an_own_class_trains_and_is_opened_again(place, capsys):
    assert main(train(place, "subclass", net="Net")) == 0
    assert f"minicnn predict {place / 'subclass'} --custom {place / 'nets.py'} IMAGE..." in " ".join(
        capsys.readouterr().out.split()
    )
    assert main(["summary", str(place / "subclass"), *custom(place)]) == 0


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ("tinny", "has no 'tinny'; did you mean 'tiny'?"),
        ("number", "must be a function of the number of classes, or a model, got 3"),
        (
            "wrong",
            "must turn images (28, 28, 1) into 10 logits, one per class; it turns (28, 28, 1) into (11,)",
        ),
        (
            "nothing",
            "failed for 10 classes: TypeError: nothing() takes 0 positional arguments but 1 was given",
        ),
        ("broken", "failed for 10 classes: ZeroDivisionError: division by zero ("),
        (
            "unbuilt",
            "cannot be built for images (28, 28, 1): RuntimeError: layer 1 (Unbuilt), given (784,): ",
        ),
        ("unbuilt", "a layer made of layers does so in init_params ("),
    ],
)
def test_a_name_that_is_no_model_is_refused(place, capsys, net, message):
    assert main(train(place, "refused", net=net)) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert message in error
    if message.endswith("("):  # in code of the user's
        assert re.search(r"nets\.py, line \d+\)$", error)
    assert not (place / "refused").exists()


def test_a_file_without_layers_or_that_fails_is_refused(tmp_path, capsys):
    (tmp_path / "empty.py").write_text("import minicnn\n")
    (tmp_path / "fails.py").write_text("\n1 / 0\n")
    for name, message in (
        ("empty.py", "defines no layer class"),
        ("fails.py", "cannot be imported: ZeroDivisionError: division by zero"),
        ("fails.py", f"({tmp_path / 'fails.py'}, line 2)"),
        ("none.py", "no such file"),
    ):
        assert main(["summary", "run", "--custom", str(tmp_path / name)]) == 2
        assert message in capsys.readouterr().err
