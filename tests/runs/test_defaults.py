"""The first run of a user with few pictures, without options: it learns."""

import math
from dataclasses import replace

import pytest
from datasets.letters import write_letters

from minicnn.cli import main
from minicnn.cli.messages import describe
from minicnn.datasets import load_image_folder
from minicnn.errors import FileFormatError
from minicnn.optimizers import OPTIMIZERS
from minicnn.runs import TrainConfig, create_run, load_data, open_run, open_unfinished_run, train
from minicnn.runs.defaults import default_batch_size, default_epochs

CLASSES = "ABCDEFGHIJ"


def accuracy_on_others(tmp_path, images, model="lenet5", classes=CLASSES, **settings):
    """Train on letters with the settings of a first run; return the share of other letters that are right."""
    write_letters(tmp_path / "letters", classes, math.ceil(images / len(classes)), seed=1)
    write_letters(tmp_path / "others", classes, 40, seed=2)
    config = TrainConfig(model=model, dataset=str(tmp_path / "letters"), threads=1, **settings)
    data = load_data(config)
    result = train(create_run(config, data, tmp_path / "run"), data, verbose=0)
    (x, y), _ = load_image_folder(tmp_path / "others", size=data.train[0].shape[1:3])
    right = open_run(tmp_path / "run").model.predict(x).argmax(axis=1) == y
    return right.mean(), result


def test_batch_size_and_epochs_follow_from_the_number_of_images():
    for images in (1, 7, 54, 108, 450, 1800, 6399, 6400, 60_000):
        batch_size = default_batch_size(images)
        steps, epochs = math.ceil(images / batch_size), default_epochs(images, batch_size)
        assert batch_size == 8 or steps >= 50
        assert batch_size == 128 or math.ceil(images / (2 * batch_size)) <= 50
        assert steps * epochs >= 500
        assert epochs == 15 or steps * (epochs - 1) < 500


def test_data_sets_by_name_and_old_configurations_have_those_of_mnist(tmp_path):
    mnist = TrainConfig(limit=60, optimizer="sgd")
    assert (mnist.epochs, mnist.batch_size, mnist.lr) == (15, 128, 0.05)
    assert mnist.for_images(60) == mnist
    old = TrainConfig.from_dict({"model": "lenet5", "dataset": "pictures"})
    assert (old.epochs, old.batch_size, old.lr) == (15, 128, OPTIMIZERS["adamw"].lr)
    assert old.for_images(60) == old


def test_what_is_given_is_kept():
    config = TrainConfig(dataset="pictures", batch_size=30, optimizer="sgd").for_images(120)
    assert (config.epochs, config.batch_size, config.lr) == (125, 30, 0.05 * 30 / 128)
    config = TrainConfig(dataset="pictures", epochs=2, lr=0.1, optimizer="sgd").for_images(120)
    assert (config.epochs, config.batch_size, config.lr) == (2, 8, 0.1)
    assert TrainConfig(dataset="pictures", epochs=0).for_images(120).epochs == 0
    assert TrainConfig(dataset="pictures").for_images(7000).batch_size == 128


def test_a_first_run_with_sixty_pictures_learns(tmp_path):
    accuracy, result = accuracy_on_others(tmp_path, 60, classes="ABC", size="16")
    assert accuracy > 0.8  # 0.62 in 15 epochs with batches of 128
    assert result.values["steps"] == 504


def test_the_header_says_what_was_chosen_and_a_run_keeps_it(tmp_path, capsys):
    write_letters(tmp_path / "letters", "AB", 20, size=(16, 16))
    config = TrainConfig(dataset=str(tmp_path / "letters"), size="16", optimizer="sgd")
    data = load_data(config)
    for chosen, text in (
        (
            config,
            "100 epochs in batches of 8 (both chosen for 36 images), sgd, cosine learning rate 0.003125",
        ),
        (replace(config, epochs=1), "1 epoch in batches of 8 (batch size chosen for 36 images), sgd"),
        (replace(config, batch_size=9), "125 epochs in batches of 9, sgd"),
    ):
        run = create_run(chosen, data, tmp_path / f"run-{chosen.epochs}-{chosen.batch_size}")
        assert text in " ".join(describe(run, data).split())
        assert open_unfinished_run(run.folder).config == run.config
    assert main(["train", "--resume", str(run.folder), "--batch-size", "16"]) == 2
    assert "--batch-size must be 9, as in the resumed run, or omitted, got 16" in capsys.readouterr().err
    text = (run.folder / "config.json").read_text()
    (run.folder / "config.json").write_text(text.replace('"batch_size": 9', '"batch_size": null'))
    with pytest.raises(FileFormatError, match="batch size and learning rate must be numbers, got null"):
        open_unfinished_run(run.folder)


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("images", "model", "optimizer", "least"),
    [
        (60, "lenet5", "adamw", 0.4),
        (120, "lenet5", "adamw", 0.55),
        (500, "lenet5", "adamw", 0.88),
        (2000, "lenet5", "adamw", 0.96),
        *((120, "lenet5", optimizer, 0.4) for optimizer in ("adam", "rmsprop", "sgd")),
        *((120, model, "adamw", 0.5) for model in ("resnet-small", "vgg-small")),
    ],
)
def test_a_first_run_learns(tmp_path, images, model, optimizer, least):
    accuracy, result = accuracy_on_others(tmp_path, images, model, optimizer=optimizer)
    settings = {"optimizer": optimizer, "epochs": 15, "batch_size": 128}
    before, _ = accuracy_on_others(tmp_path / "before", images, model, **settings)
    print(f"\n{images} letters, {model}, {optimizer}: {100 * accuracy:.1f} % of 400 others", end="")
    print(f" in {result.values['steps']} steps and {result.values['seconds']:.1f} s;", end="")
    print(f" in 15 epochs with batches of 128: {100 * before:.1f} %")
    assert accuracy > max(least, before - 0.02)
