"""From a folder of pictures to a net, its report and predictions, by commands alone."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from datasets.letters import write_letters
from PIL import Image

from minicnn.cli import _make_parser, main
from minicnn.cli.demo import _session
from minicnn.runs import (
    TrainConfig,
    create_run,
    load_data,
    open_run,
    open_unfinished_run,
    read_history,
    read_result,
    train,
)
from minicnn.training.splitting import SourceRows


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with pictures of two letters, and a run that tells them apart."""
    place = tmp_path_factory.mktemp("own")
    write_letters(place / "letters", ["<b>", "O"], count=40, size=(30, 26))
    for path in (place / "letters" / "<b>").iterdir():  # so different that a net learns it at once
        Image.new("RGB", (30, 26), "black").save(path)
    assert command("train", place / "letters", place / "run", "--epochs", 3, "--batch-size", 8) == 0
    return place


def command(name, dataset, run, *options):
    there = ["--dataset", dataset, "--out", run] if name == "train" else [run]
    return main(
        [name, *map(str, there), *map(str, options), *(["--threads", "1"] if name == "train" else [])]
    )


def demo_session(folder, *options):
    """Return the session that `minicnn demo` would serve."""
    return _session(_make_parser().parse_args(["demo", str(folder), *map(str, options)]))


def test_train_says_what_it_found(place, capsys):
    assert command("train", place / "letters", place / "again", "--epochs", 1, "--size", "20x28") == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "class folders; pictures of 30x26 pixels (width x height), cropped to 28x20" in printed
    assert "72 images of 20x28x3, evaluated on 8 validation images" in printed
    assert "classes 2: <b> 40, O 40 " in printed


def test_a_run_has_its_classes_and_curves_for_both_parts(place):
    run = open_run(place / "run")
    assert run.class_names == ["<b>", "O"]
    assert {"val_loss", "val_accuracy"} < {*read_history(place / "run").history}
    assert read_result(place / "run")["validation_accuracy"] == 1


def test_the_next_commands_work(place, capsys):
    assert command("evaluate", None, place / "run") == 0
    assert "accuracy 100.00 % of 8 validation images of" in capsys.readouterr().out
    assert command("predict", None, place / "run", place / "letters" / "O" / "003.png") == 0
    assert "003.png: O (" in capsys.readouterr().out


@pytest.mark.filterwarnings("default")
def test_each_command_that_reads_pictures_can_leave_out_those_that_cannot_be_read(place, tmp_path, capsys):
    shutil.copytree(place / "letters", tmp_path / "letters")
    (tmp_path / "letters" / "O" / "100.png").write_bytes(b"no picture")
    others = ["--dataset", tmp_path / "letters"]
    for name in ("evaluate", "report"):
        out = ["--out", tmp_path / "report.html"] if name == "report" else []
        assert command(name, None, place / "run", *others, *out) == 2
        assert "pass --skip-unreadable" in capsys.readouterr().err
        assert command(name, None, place / "run", *others, *out, "--skip-unreadable") == 0
        assert "100.png" in capsys.readouterr().err
    with pytest.warns(UserWarning, match=r"100\.png"):
        images, _ = demo_session(place / "run", *others, "--skip-unreadable").inputs.examples
    assert len(images) == 8  # those held out, since the others are what the net was trained on


@pytest.mark.parametrize("cached", [pytest.param(False, marks=pytest.mark.ci), True])
def test_pictures_that_are_streamed_train_the_same_net(place, tmp_path, capsys, cached):
    cache = ["--cache", tmp_path / "pictures.npy"] if cached else []
    options = ["--epochs", 3, "--batch-size", 8, "--stream", *cache, "--checkpoint-every", 5]
    assert command("train", place / "letters", tmp_path / "run", *options) == 0
    assert "evaluated on 8 validation images" in " ".join(capsys.readouterr().out.split())
    assert read_history(tmp_path / "run") == read_history(place / "run")
    assert command("evaluate", None, tmp_path / "run") == 0
    assert "8 validation images" in capsys.readouterr().out
    a, b = (open_run(folder / "run").model.get_weights() for folder in (place, tmp_path))
    assert all(map(np.array_equal, a, b))
    more = main(["train", "--resume", str(tmp_path / "run"), "--epochs", "4", *map(str, cache)])
    assert more == 0
    assert len(read_history(tmp_path / "run").epoch) == 4
    images, _ = load_data(open_run(tmp_path / "run").config).train
    assert isinstance(images, SourceRows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--cache", "pictures.npy"], "--cache must be omitted without --stream"),
        (["--stream", "--skip-unreadable"], "--skip-unreadable must be omitted with --stream"),
    ],
)
def test_options_of_pictures_that_are_streamed_are_checked(place, tmp_path, capsys, options, message):
    assert command("train", place / "letters", tmp_path / "run", *options) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_only_pictures_can_be_streamed_and_memory_is_checked_before_it_is_filled(place, monkeypatch):
    with pytest.raises(ValueError, match="`stream` is for folders of pictures, not for mnist"):
        load_data(TrainConfig(stream=True))
    monkeypatch.setattr(os, "sysconf", lambda name: 400)  # 160,000 bytes of memory
    with pytest.raises(
        ValueError, match=r"`stream` must be set for 80 pictures, which take 0.0 GB of memory"
    ):
        load_data(TrainConfig(dataset=str(place / "letters")))


@pytest.mark.ci
def test_a_table_names_the_classes_for_all_commands(place, tmp_path, capsys):
    lines = [f"{path.parent.name}/{path.name},{path.parent.name}" for path in place.glob("letters/*/*.png")]
    table = ["--labels", str(tmp_path / "names.csv")]
    (tmp_path / "names.csv").write_text("\n".join(lines))
    options = ["--epochs", 3, "--batch-size", 8, *table]
    assert command("train", place / "letters", tmp_path / "run", *options) == 0
    assert read_history(tmp_path / "run") == read_history(place / "run")
    shutil.move(tmp_path / "names.csv", tmp_path / "moved.csv")
    assert command("evaluate", None, tmp_path / "run") == 2
    assert f"no such file: {tmp_path / 'names.csv'}" in capsys.readouterr().err
    moved = ["--labels", tmp_path / "moved.csv"]
    assert command("evaluate", None, tmp_path / "run", *moved) == 0
    assert "accuracy 100.00 % of 8 validation images of" in " ".join(capsys.readouterr().out.split())
    assert command("report", None, tmp_path / "run", *moved) == 0
    page = (tmp_path / "run" / "report.html").read_text()
    assert str(tmp_path / "moved.csv") in page
    assert str(tmp_path / "names.csv") not in page
    assert main(["train", "--resume", str(tmp_path / "run"), "--epochs", "4", *map(str, moved)]) == 0
    assert open_run(tmp_path / "run").config.labels == str(tmp_path / "moved.csv")


@pytest.mark.campaign
def test_the_report_escapes_the_names_of_classes(place):
    assert command("report", None, place / "run") == 0
    page = (place / "run" / "report.html").read_text()
    assert "<b>" not in page


def test_a_run_that_was_carried_elsewhere_predicts_and_evaluates(place, tmp_path, capsys):
    shutil.copytree(place / "run", tmp_path / "run")
    shutil.move(place / "letters", place / "moved")
    try:
        assert command("predict", None, tmp_path / "run", place / "moved" / "O" / "003.png") == 0
        assert ": O (" in capsys.readouterr().out
        assert command("evaluate", None, tmp_path / "run") == 2
        assert "is not on this machine: pass its location as --dataset" in capsys.readouterr().err
        # Not of all 80: 72 of them, the net was trained on.
        shutil.copy(tmp_path / "run" / "model.safetensors", tmp_path / "net.safetensors")
        for trained in ("run", "net.safetensors"):
            assert command("evaluate", None, tmp_path / trained, "--dataset", place / "moved") == 0
            found = "accuracy 100.00 % of 8 validation images of"
            assert found in " ".join(capsys.readouterr().out.split())
            shown = demo_session(tmp_path / trained, "--dataset", place / "moved")
            assert [len(shown.inputs.training[0]), len(shown.inputs.examples[0])] == [72, 8]
            assert [shown.names[label] for label in shown.inputs.examples[1]] == ["<b>"] * 4 + ["O"] * 4
        shutil.copytree(place / "moved" / "O", tmp_path / "new" / "O")
        assert command("evaluate", None, tmp_path / "run", "--dataset", tmp_path / "new") == 0
        assert "accuracy 100.00 % of 40 images of" in " ".join(capsys.readouterr().out.split())
        (tmp_path / "new" / "O").rename(tmp_path / "new" / "Q")
        assert command("evaluate", None, tmp_path / "run", "--dataset", tmp_path / "new") == 2
        assert "has classes that the model does not know: 'Q'" in capsys.readouterr().err
    finally:
        shutil.move(place / "moved", place / "letters")


def test_a_run_whose_data_were_moved_resumes_from_their_new_place(place, tmp_path, capsys):
    shutil.copytree(place / "run", tmp_path / "run")
    shutil.copytree(place / "run", tmp_path / "stayed")
    for folder in ("run", "stayed"):
        max((tmp_path / folder / "checkpoints").glob("step-*")).unlink()
        (tmp_path / folder / "result.json").unlink()
    shutil.copytree(place / "letters", tmp_path / "letters")
    assert main(["train", "--resume", str(tmp_path / "stayed")]) == 0
    there = ["train", "--resume", str(tmp_path / "run"), "--dataset"]
    for wrong, message in {
        "mnist": f"--dataset must be {place / 'letters'}, as in the resumed run, or omitted, got mnist",
        str(tmp_path / "nowhere"): f"the data set '{tmp_path / 'nowhere'}' is not on this machine",
        "": "--dataset must not be empty",
    }.items():
        assert main([*there, wrong]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
    shutil.copytree(tmp_path / "letters" / "O", tmp_path / "letters" / "Q")
    assert main([*there, str(tmp_path / "letters")]) == 2
    assert "(32, 32, 3) of 2 classes, got images (32, 32, 3) of 3 classes" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "letters" / "Q")
    assert open_run(tmp_path / "run").config.dataset == str(place / "letters")
    assert main([*there, str(tmp_path / "letters")]) == 0
    assert "changed" not in capsys.readouterr().err  # no word of other data
    for name in ("model.safetensors", "history.csv"):
        assert (tmp_path / "run" / name).read_bytes() == (tmp_path / "stayed" / name).read_bytes()
    assert open_run(tmp_path / "run").config.dataset == str(tmp_path / "letters")
    (tmp_path / "letters").rename(tmp_path / "again")
    assert main([*there, str(tmp_path / "again")]) == 0  # of a run that is finished, too
    printed = " ".join(capsys.readouterr().out.split())
    assert f"the data of {tmp_path / 'run'} are at {tmp_path / 'again'} now" in printed
    assert open_run(tmp_path / "run").config.dataset == str(tmp_path / "again")


def test_resume_with_more_epochs_prolongs_a_run(place, tmp_path, capsys):
    folder, config = (
        tmp_path / "run",
        TrainConfig(dataset=str(place / "letters"), batch_size=40, schedule="constant", threads=1),
    )
    data = load_data(config)
    for path, epochs in ((folder, 1), (tmp_path / "whole", 3)):
        train(create_run(replace(config, epochs=epochs), data, path), data, verbose=0)
    capsys.readouterr()
    assert main(["train", "--resume", str(folder), "--epochs", "3"]) == 0
    assert "warning" not in capsys.readouterr().err
    assert (folder / "history.csv").read_bytes() == (tmp_path / "whole" / "history.csv").read_bytes()
    for ours, theirs in zip(
        open_run(folder).model.get_weights(), open_run(tmp_path / "whole").model.get_weights(), strict=True
    ):
        assert np.array_equal(ours, theirs)
    assert (open_run(folder).config.epochs, read_result(folder)["epochs"]) == (3, 3)
    assert main(["train", "--resume", str(folder), "--epochs", "2"]) == 2
    assert "--epochs must be at least 3, which the run has already, got 2" in capsys.readouterr().err
    assert main(["train", "--resume", str(folder), "--epochs", "3"]) == 0
    assert "is already finished; to train longer, pass --epochs N" in capsys.readouterr().out


def test_a_finished_run_without_pictures_gets_them(place, tmp_path):
    shutil.copytree(place / "run", tmp_path / "run")
    before = {name: (tmp_path / "run" / name).read_bytes() for name in ("curves.png", "errors.png")}
    for name in before:
        (tmp_path / "run" / name).unlink()
    assert main(["train", "--resume", str(tmp_path / "run")]) == 0
    assert {name: (tmp_path / "run" / name).read_bytes() for name in before} == before


@pytest.mark.parametrize("left", [[], ["checkpoints"], ["checkpoints", ".config.json.x"]])
def test_a_run_that_could_not_write_its_configuration_does_not_block_the_folder(place, tmp_path, left):
    (tmp_path / "run").mkdir()
    for name in left:
        (tmp_path / "run" / name).mkdir() if "." not in name else (tmp_path / "run" / name).touch()
    config = TrainConfig(dataset=str(place / "letters"), size="28")
    data = load_data(config)
    run = create_run(config, data, tmp_path / "run")
    assert open_unfinished_run(run.folder).config == config.for_images(len(data.train[1]))
    with pytest.raises(FileExistsError, match="is not an empty folder"):
        create_run(config, data, tmp_path / "run")
