from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw
from toy_data import write_folder

from minicnn import Dense, Flatten, Sequential
from minicnn.datasets import load_digit_image, load_idx_folder, write_idx
from minicnn.errors import FileFormatError
from minicnn.runs import (
    TrainConfig,
    load_data,
    load_evaluation_data,
    load_parts,
    load_test_data,
    with_dataset,
)
from minicnn.runs.data import class_names, digest, pad_images
from minicnn.runs.inputs import input_reader


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("toy") / "toy")


def test_load_data_takes_everything_as_it_is(folder):
    data = load_data(TrainConfig(dataset=str(folder), val_split=0.0))
    (x_train, y_train), (x_test, y_test) = load_idx_folder(folder)
    for part, (images, labels) in ((data.train, (x_train, y_train)), (data.test, (x_test, y_test))):
        assert np.array_equal(part[0], images)
        assert np.array_equal(part[1], labels)
    assert data.validation is None
    assert data.num_classes == 10
    assert data.evaluation == ("test", data.test)


def test_load_data_limits_the_training_images_only(folder):
    data = load_data(TrainConfig(dataset=str(folder), limit=7))
    drawn = np.random.default_rng([0, 0, 0, 2]).permutation(160)[:7]  # they may be sorted by class
    used = [*data.train[1], *data.validation[1]]
    assert sorted(used) == sorted(load_idx_folder(folder)[0][1][drawn])
    assert len(data.test[0]) == 40


def test_a_tenth_of_a_set_of_the_users_is_held_out(folder, tmp_path):
    data = load_data(TrainConfig(dataset=str(folder)))
    assert np.bincount(data.validation[1]).tolist() == [2] * 10  # of 16 each
    assert (len(data.train[0]), len(data.test[0])) == (140, 40)
    few = load_data(TrainConfig(dataset=str(write_folder(tmp_path, train=10))))
    assert few.validation is None  # one image of each class cannot be divided
    assert len(few.train[0]) == 10


@pytest.mark.parametrize("sizes", [(60_000, 10_000), (50_000, 10_000)])
def test_nothing_is_held_out_of_sets_with_the_numbers_of_published_ones(tmp_path, sizes):
    for name, count in zip(("train", "t10k"), sizes, strict=True):
        write_idx(tmp_path / f"{name}-images-idx3-ubyte", np.zeros((count, 2, 2), np.uint8))
        write_idx(tmp_path / f"{name}-labels-idx1-ubyte", (np.arange(count) % 2).astype(np.uint8))
    data = load_data(TrainConfig(dataset=str(tmp_path)))
    assert data.validation is None
    assert (len(data.train[0]), len(data.test[0])) == sizes


def test_load_data_holds_out_images_that_are_then_not_trained_on(folder):
    data = load_data(TrainConfig(dataset=str(folder), val_split=0.1875))
    (x, y), _ = load_idx_folder(folder)
    trained, held = ({image.tobytes() for image in part[0]} for part in (data.train, data.validation))
    assert (len(trained), len(held)) == (130, 30)
    assert trained | held == {image.tobytes() for image in x}
    label_of = {image.tobytes(): label for image, label in zip(x, y, strict=True)}
    assert [label_of[image.tobytes()] for image in data.validation[0]] == data.validation[1].tolist()
    assert np.bincount(data.validation[1]).tolist() == [3] * 10
    assert data.evaluation == ("test", data.test)


def test_held_out_images_follow_the_seed(folder):
    first, again, other = (
        load_data(TrainConfig(dataset=str(folder), val_split=0.1875, seed=seed)).validation[0]
        for seed in (3, 3, 4)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_load_data_leaves_images_to_train_on_of_each_class(folder, tmp_path):
    few = write_folder(tmp_path, train=10)
    data = load_data(TrainConfig(dataset=str(folder), limit=60, val_split=0.99))
    assert sorted(data.train[1]) == list(range(10))
    assert len(data.validation[1]) == 50
    with pytest.raises(ValueError, match="`val_split` must be 0 if each class has one image"):
        load_data(TrainConfig(dataset=str(few), val_split=0.5))


def test_load_data_refuses_an_unknown_name():
    with pytest.raises(FileNotFoundError, match=r"must be mnist, fashion-mnist.*, a folder .*, got 'nmist'"):
        load_data(TrainConfig(dataset="nmist"))


def test_load_data_takes_a_place_for_fashion_mnist_only():
    with pytest.raises(ValueError, match="only for fashion-mnist, not for mnist"):
        load_data(TrainConfig(data="somewhere"))


def test_load_data_demands_test_images(tmp_path):
    write_folder(tmp_path, test=0)
    with pytest.raises(ValueError, match="has no test images"):
        load_data(TrainConfig(dataset=str(tmp_path), val_split=0.0))
    part, (images, _) = load_data(TrainConfig(dataset=str(tmp_path))).evaluation
    assert (part, len(images)) == ("validation", 20)


def test_num_classes_counts_labels_that_only_one_part_has(tmp_path):
    write_folder(tmp_path)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte", np.full(40, 25, np.uint8))
    assert load_data(TrainConfig(dataset=str(tmp_path))).num_classes == 26


def test_pad_images_puts_the_image_in_the_middle():
    image = np.full((1, 28, 27, 1), 9, np.uint8)
    padded = pad_images(image, "lenet5-1998")
    assert padded.shape == (1, 32, 32, 1)
    assert np.array_equal(padded[:, 2:30, 2:29], image)
    assert padded.sum() == image.sum()
    assert pad_images(image, "lenet5") is image


def test_load_test_data_pads_for_the_model(folder):
    images, labels = load_test_data(str(folder), None, "lenet5-1998")
    assert np.array_equal(images[:, 2:-2, 2:-2], load_idx_folder(folder)[1][0])
    assert labels[:3].tolist() == [0, 1, 2]


@pytest.fixture(scope="module")
def archives(tmp_path_factory):
    """Archives of one set, with and without a part for validation."""
    place, rng = tmp_path_factory.mktemp("archives"), np.random.default_rng(0)
    x, y = rng.integers(0, 256, (120, 6, 5, 1), dtype=np.uint8), np.arange(120) % 3
    np.savez(place / "whole.npz", x_train=x, y_train=y)
    np.savez(place / "parts.npz", x_train=x[20:], y_train=y[20:], x_val=x[:20], y_val=y[:20])
    return place


@pytest.mark.parametrize("settings", [{}, {"limit": 60, "seed": 3}, {"val_split": 0.25}])
def test_evaluation_takes_what_was_held_out_of_the_same_data_elsewhere(archives, settings):
    data = load_data(TrainConfig(dataset=str(archives / "whole.npz"), **settings))
    model, config = Sequential([Flatten(), Dense(3)]).build((6, 5, 1)), TrainConfig(dataset="", **settings)
    for name, (part, count) in {"whole": ("", 120), "parts": ("validation", 20)}.items():
        found, (images, _) = load_evaluation_data(config, model, str(archives / f"{name}.npz"))
        assert (found, len(images)) == (part, count)
    model.made_by = {"data_sha256": digest(data.train)}
    part, found = load_evaluation_data(config, model, str(archives / "whole.npz"))
    assert part == "validation"
    assert all(map(np.array_equal, found, data.validation))


def test_evaluation_does_without_test_images_if_a_set_has_none(tmp_path):
    write_folder(tmp_path, test=0)
    data = load_data(TrainConfig(dataset=str(tmp_path)))
    model = Sequential([Flatten(), Dense(10)]).build((28, 28, 1))
    model.made_by = {"data_sha256": digest(data.train)}
    part, found = load_evaluation_data(TrainConfig(dataset=""), model, str(tmp_path))
    assert part == "validation"
    assert all(map(np.array_equal, found, data.validation))
    write_folder(tmp_path / "empty", train=0, test=0)
    with pytest.raises(ValueError, match="empty has no images"):
        load_evaluation_data(TrainConfig(dataset=""), model, str(tmp_path / "empty"))


def test_evaluation_takes_all_of_the_same_data_if_nothing_was_held_out(archives):
    with np.load(archives / "whole.npz") as arrays:
        everything = arrays["x_train"], arrays["y_train"]
    model = Sequential([Flatten(), Dense(3)]).build((6, 5, 1))
    model.made_by = {"data_sha256": digest(everything)}
    config = TrainConfig(dataset="", val_split=0.0)
    part, (images, _) = load_evaluation_data(config, model, str(archives / "whole.npz"))
    assert (part, len(images)) == ("", 120)


@pytest.mark.parametrize("side", [28, 32])
def test_pictures_of_digits_are_evaluated_as_predict_reads_them(side, tmp_path):
    for name in ("3", "7"):
        (tmp_path / name).mkdir()
        picture = Image.new("L", (50, 60), "white")
        ImageDraw.Draw(picture).text((20, 15), name, fill="black", font_size=30)
        picture.save(tmp_path / name / "0.png")
    model = Sequential([Flatten(), Dense(10)]).build((side, side, 1))
    model.preprocessing = "mnist-digit"
    _, (images, labels) = load_evaluation_data(TrainConfig(dataset=""), model, str(tmp_path))
    read = input_reader(model)
    np.testing.assert_array_equal(images, [read(tmp_path / name / "0.png") for name in ("3", "7")])
    pad = (side - 28) // 2
    digit = np.pad(load_digit_image(tmp_path / "3" / "0.png"), [(pad, pad), (pad, pad), (0, 0)])
    np.testing.assert_array_equal(images[0], digit)
    assert labels.tolist() == [3, 7]  # by the names of the folders, not by their order
    picture.paste("white", (0, 0, 50, 60))
    picture.save(tmp_path / "7" / "0.png")
    with pytest.raises(FileFormatError, match=r"1 file in .* cannot be used.*\n.*0.png: no digit found"):
        load_evaluation_data(TrainConfig(dataset=""), model, str(tmp_path))


@pytest.mark.parametrize(
    ("names", "found", "labels"),
    [
        (None, ["0", "2"], [0, 2]),
        (None, ["ant", "bee", "cat"], [0, 1]),
        (["cat", "bee", "ant"], ["ant", "bee", "cat"], [2, 1]),
        (None, ["ant", "bee"], "does not know: 'ant', 'bee'; it knows '0', '1', '2'"),
        (None, ["1", "3"], "does not know: '3'; it knows"),
        (
            ["a", "b", "c"],
            ["ant", "bee", "cat"],
            "does not know: 'ant', 'bee', 'cat'; it knows 'a', 'b', 'c'",
        ),
    ],
)
def test_classes_are_found_by_name_or_by_number(names, found, labels, tmp_path):
    x = np.zeros((2 * len(found), 2, 2, 1), np.uint8)
    y = np.arange(len(x)) // 2
    np.savez(tmp_path / "set.npz", x_train=x, y_train=y, class_names=found)
    model = Sequential([Flatten(), Dense(3)]).build((2, 2, 1))
    model.class_names = names
    arguments = TrainConfig(dataset=""), model, str(tmp_path / "set.npz")
    if isinstance(labels, str):
        with pytest.raises(ValueError, match=labels):
            load_evaluation_data(*arguments)
        return
    assert load_evaluation_data(*arguments)[1][1][[0, 2]].tolist() == labels
    config = with_dataset(TrainConfig(dataset="", size="9"), str(tmp_path / "set.npz"))
    (_, trained), (_, evaluated) = load_parts(config, model, 10)
    assert (trained[:2].tolist(), evaluated[:2].tolist()) == (labels, labels)  # one of each held out


def test_another_place_of_the_data_replaces_only_what_names_them(tmp_path):
    config = TrainConfig(dataset=str(tmp_path), labels="old.csv", size="48", channels=1, stream=True)
    assert with_dataset(config) == config
    assert with_dataset(config, labels="new.csv") == replace(config, labels="new.csv")
    assert with_dataset(config, data="there").data == "there"
    archive = with_dataset(config, "set.npz")  # has no pictures to read
    assert (archive.labels, archive.size, archive.channels, archive.stream) == (None, None, None, False)


def test_class_names_are_numbers_or_the_authors_words():
    assert class_names("mnist", 3) == ["0", "1", "2"]
    assert class_names("fashion-mnist", 10)[9] == "ankle boot"
