"""What a config's data set is found to be, and its parts."""

import os
import warnings

import numpy as np
import pytest
from datasets.cifar_files import write_cifar
from datasets.letters import write_letters
from PIL import Image

from minicnn import Dense, Flatten, Sequential
from minicnn.datasets import Augment, AugmentPhotos, load_image_folder
from minicnn.errors import FileFormatError
from minicnn.runs import TrainConfig, create_run, load_data, load_evaluation_data, open_trained
from minicnn.runs.data import digest
from minicnn.runs.dataset import find_dataset, hold_out, rename
from minicnn.runs.inputs import input_reader


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    return write_letters(tmp_path_factory.mktemp("own") / "letters", "ABC", count=12, size=(50, 40))


def load(dataset, **settings):
    return load_data(TrainConfig(dataset=str(dataset), **settings))


def test_class_folders_are_the_arrays_with_a_tenth_of_each_class_held_out(letters):
    (x, y), names = load_image_folder(letters, (16, 20))
    data = load(letters, size="16x20")
    assert data.class_names == names == ["A", "B", "C"]
    assert (data.num_classes, data.test, data.own) == (3, None, True)
    assert data.kind == "class folders; pictures of 50x40 pixels (width x height), cropped to 20x16"
    assert data.preprocessing == {
        "size": (16, 20),
        "channels": 3,
        "resize": "crop",
        "background": (255, 255, 255),
    }
    assert data.validation[1].tolist() == [0, 1, 2]
    assert data.evaluation == ("validation", data.validation)
    both = np.concatenate([data.train[0], data.validation[0]])
    labels = np.concatenate([data.train[1], data.validation[1]])
    order = [next(k for k in range(36) if np.array_equal(image, x[k])) for image in both]
    assert sorted(order) == list(range(36))
    assert labels.tolist() == y[order].tolist()


@pytest.mark.parametrize("stream", [False, pytest.param(True, marks=pytest.mark.ci)])
def test_a_table_takes_the_place_of_class_folders(letters, tmp_path, stream):
    rows = [(path, path.parent.name) for path in sorted(letters.glob("*/*.png"))]
    renamed = {"A": "ant", "B": "bee", "C": "ant"}
    lines = [f"{path.relative_to(letters).as_posix()},{renamed[name]}" for path, name in rows]
    (tmp_path / "names.csv").write_text("file,class\n" + "\n".join(lines))
    place = {"labels": str(tmp_path / "names.csv"), "size": "8"}
    data = load(letters, stream=stream, **place)
    assert data.kind.startswith("classes of names.csv; pictures of 50x40 pixels")
    assert data.class_names == ["ant", "bee"]
    ((images, _),) = data.train[0].batches([np.arange(33)]) if stream else [data.train]
    (x, y), _ = load_image_folder(letters, 8, labels=tmp_path / "names.csv")
    found = {image.tobytes(): label for image, label in zip(images, data.train[1], strict=True)}
    expected = {image.tobytes(): label for image, label in zip(x, y, strict=True)}
    assert len(found) == 33
    assert found.items() <= expected.items()
    config = TrainConfig(dataset=str(letters), stream=stream, **place)
    model = Sequential([Flatten(), Dense(2)]).build((8, 8, 3))
    model.class_names, model.made_by = data.class_names, {"data_sha256": digest(data.train)}
    model.preprocessing = {"size": [8, 8], "channels": 3}
    part, found = load_evaluation_data(config, model, str(letters), labels=place["labels"])
    assert part == "validation"
    assert all(map(np.array_equal, found, data.validation))
    with pytest.raises(ValueError, match="classes that the model does not know: 'A', 'B', 'C'"):
        load_evaluation_data(config, model, str(letters))


def test_held_out_pictures_follow_the_seed_and_the_share(letters):
    first, again, other = (load(letters, size="8", seed=seed).validation[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert len(load(letters, size="8", val_split=0.5).validation[0]) == 18
    with pytest.raises(ValueError, match="no images to evaluate on: hold some out by `val_split`"):
        load(letters, size="8", val_split=0.0)


def test_a_limit_takes_pictures_of_all_classes(letters):
    data = load(letters, size="8", limit=18)
    assert len(data.train[1]) + len(data.validation[1]) == 18
    assert np.bincount(data.train[1]).min() >= 2


def test_parts_of_a_folder_are_taken_as_they_are(tmp_path):
    for part, count in (("train", 6), ("valid", 2), ("test", 3)):
        write_letters(tmp_path / part, "AB", count, "L", seed=count)
    data = load(tmp_path, size="9", model="lenet5-1998")
    assert [len(part[1]) for part in (data.train, data.validation, data.test)] == [12, 4, 6]
    assert data.train[0].shape[1:] == (32, 32, 1)  # not padded: pictures are read at the least size
    assert data.preprocessing["size"] == (32, 32)
    assert data.evaluation[0] == "test"
    with pytest.raises(ValueError, match=r"`val_split` must be omitted: .* already has a validation part"):
        load(tmp_path, val_split=0.2)


def test_an_archive_is_a_set_of_ones_own(tmp_path):
    x, y = np.random.default_rng(0).integers(0, 256, (40, 9, 9)), np.repeat([0, 1], 20)
    np.savez(tmp_path / "set.npz", x_train=x, y_train=y)
    data = load(tmp_path / "set.npz")
    assert (data.train[0].shape, data.train[0].dtype) == ((36, 9, 9, 1), np.uint8)
    assert data.validation[1].tolist() == [0, 0, 1, 1]
    np.savez(tmp_path / "set.npz", x_train=x, y_train=y, x_test=x[:5], y_test=y[:5], x_val=x, y_val=y)
    data = load(tmp_path / "set.npz")
    assert [len(part[1]) for part in (data.train, data.validation, data.test)] == [40, 40, 5]
    (tmp_path / "set.npz").write_bytes(b"")
    with pytest.raises(FileFormatError, match="is not a data set of arrays"):
        load(tmp_path / "set.npz")


def test_cifar_10_has_its_class_names(tmp_path):
    write_cifar(tmp_path)
    data = load(tmp_path)
    assert data.class_names[3] == "cat"
    assert (len(data.train[0]) + len(data.validation[0]), len(data.test[0])) == (20, 4)


def test_one_class_is_refused(tmp_path):
    write_letters(tmp_path, "A", 3)
    with pytest.raises(ValueError, match=r"a classifier needs at least two classes, but .* has only one"):
        load(tmp_path)


def test_one_picture_of_each_class_leaves_none_to_hold_out(tmp_path):
    write_letters(tmp_path / "set", "AB", 1)
    for share in (None, 0.0):
        with pytest.raises(
            ValueError, match=r"at least two images.*: .*set has one|no images to evaluate on"
        ):
            load(tmp_path / "set", val_split=share)


@pytest.mark.parametrize("kind", ["only in the test set", "unreadable", "from 1 on", "few of a limit"])
def test_classes_without_training_images_are_warned_of(tmp_path, kind):
    folder, settings, missing = tmp_path / "set", {}, "'C'"
    if kind == "only in the test set":
        write_letters(folder / "train", "AB", 3)
        write_letters(folder / "test", "ABC", 3, seed=1)
    elif kind == "unreadable":
        write_letters(folder, "ABC", 3)
        for path in (folder / "C").iterdir():
            path.write_bytes(b"")
        settings = {"skip_unreadable": True}
    elif kind == "few of a limit":
        write_letters(folder, "AB", 12)
        write_letters(folder, "C", 1)
        settings = {"limit": 10}
    else:
        folder, missing = tmp_path / "set.npz", "'0'"
        np.savez(folder, x_train=np.zeros((20, 16, 16), np.uint8), y_train=np.repeat([1, 2], 10))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "[^ ]* files? left out")
        config = TrainConfig(dataset=str(folder), **settings)
        data = load_data(config)
    with pytest.warns(UserWarning, match=f"no training images of these classes, .*: {missing}"):
        create_run(config, data, tmp_path / "run")


def test_settings_of_pictures_are_for_pictures():
    with pytest.raises(ValueError, match="`size` is for folders of pictures, not for mnist"):
        find_dataset(TrainConfig(size="32"))
    with pytest.raises(ValueError, match="`labels` is for folders of pictures, not for mnist"):
        find_dataset(TrainConfig(labels="names.csv"))
    with pytest.raises(ValueError, match="`channels` is for folders of pictures, not for mnist"):
        find_dataset(TrainConfig(channels=1))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_a_pipe_in_place_of_a_data_set_or_a_model_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(FileFormatError, match="is a pipe or a device, not a data set"):
        load(tmp_path / "pipe.safetensors")
    with pytest.raises(FileFormatError, match="is a folder or a device, not a run folder or model file"):
        open_trained(tmp_path / "pipe.safetensors")


def test_a_set_that_is_not_here_is_told_with_what_to_do():
    with pytest.raises(
        FileNotFoundError, match="data set '/nowhere/letters' is not on this machine: pass its location as"
    ):
        load("/nowhere/letters")


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5, 0.99])
def test_hold_out_takes_the_share_of_each_class_and_never_all(share):
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 5], [1, 2, 10, 300]))
    kept, held_out = hold_out(labels, share, np.random.default_rng(1))
    assert sorted([*kept, *held_out]) == list(range(313))
    counts = np.bincount(labels[held_out], minlength=6)
    expected = [0, 1, *(min(max(round(share * n), 1), n - 1) for n in (10,)), 0, 0]
    assert counts.tolist() == [*expected, min(max(round(share * 300), 1), 299)]


def test_classes_are_found_by_their_names():
    assert rename(np.array([0, 1, 1]), ["dog", "ant"], ["ant", "bee", "dog"], "here").tolist() == [2, 0, 0]
    with pytest.raises(ValueError, match="here has classes that the model does not know: 'cat'"):
        rename(np.array([0]), ["cat"], ["ant", "bee"], "here")


def test_own_pictures_are_distorted_over_their_own_ground():
    config = TrainConfig(augment=True)
    assert isinstance(config.make_augment((8, 8, 3), True), AugmentPhotos)
    assert config.make_augment((8, 8, 1), True).background == "edge"
    assert config.make_augment((8, 8, 1), False) == Augment(shift=2.0, rotation=10.0, shear=0.1, scale=0.1)
    clothes = TrainConfig(dataset="fashion-mnist", augment=True).make_augment((28, 28, 1), False)
    assert clothes == Augment(shift=1.0, rotation=0.0, shear=0.0, scale=0.0, flip=True)
    assert TrainConfig(dataset="/data/kmnist", augment=True).make_augment((28, 28, 1), False) == Augment()
    assert TrainConfig().make_augment((8, 8, 3), True) is None


def test_a_part_of_the_range_becomes_all_of_it_and_unreadable_files_are_left_out(tmp_path):
    for name, value in (("dim", 1000), ("bright", 4095)):
        (tmp_path / name).mkdir()
        for number in range(2):
            Image.fromarray(np.full((9, 9), value, np.uint16)).save(tmp_path / name / f"{number}.png")
    (tmp_path / "dim" / "x.png").write_bytes(b"x")
    with pytest.warns(UserWarning, match="1 file left out"):
        data = load(tmp_path, size="8", value_range="0,4095", skip_unreadable=True)
    assert sorted(np.unique(data.train[0])) == [round(255 * 1000 / 4095), 255]
    assert data.preprocessing["value_range"] == (0.0, 4095.0)
    with pytest.raises(ValueError, match="`value_range` is for folders of pictures, not for mnist"):
        find_dataset(TrainConfig(value_range="0,1"))


@pytest.mark.parametrize("text", ["", "5", "3,3", "4,1", "0,inf", "nan,1", "0,1,2", "a,b"])
def test_a_range_is_two_rising_numbers(text):
    with pytest.raises(ValueError, match="`value_range` must be BLACK,WHITE, such as 0,4095, got"):
        TrainConfig(value_range=text)


@pytest.mark.parametrize("scaling", [{}, {"scale": -1 / 255, "offset": 1}, {"scale": [0.01]}])
def test_an_evaluation_reads_pictures_as_a_prediction_does(tmp_path, scaling):
    for name, value in (("a", 1000), ("b", 4095)):
        (tmp_path / name).mkdir()
        Image.fromarray(np.full((9, 7), value, np.uint16)).save(tmp_path / name / "1.png")
    model = Sequential([Flatten(), Dense(2)]).build((300, 8, 1), rng=0)
    model.preprocessing = {"resize": "pad", "background": 7, "value_range": [0, 4095], **scaling}
    _, (images, labels) = load_evaluation_data(TrainConfig(), model, str(tmp_path))
    read = input_reader(model)
    expected = np.stack([read(tmp_path / name / "1.png") for name in "ab"])
    assert images.dtype == (np.float32 if scaling else np.uint8)
    assert np.array_equal(images, expected)
    assert labels.tolist() == [0, 1]


def test_what_cannot_be_read_is_named(tmp_path):
    write_letters(tmp_path, "AB", 3)
    (tmp_path / "A" / "x.png").write_bytes(b"x")
    with pytest.raises(FileFormatError, match=r"A/x\.png is not a valid image"):
        load(tmp_path)
    Image.new("L", (9, 9)).save(tmp_path / "A" / "x.png")
    assert load(tmp_path).train[0].shape[3] == 3
