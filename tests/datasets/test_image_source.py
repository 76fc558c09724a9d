import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from datasets.letters import write_letters
from fuzz.mutations import mutated
from PIL import Image

from minicnn import Adam, Conv2D, Dense, Flatten, Pool2D, ReLU, Sequential, Trainer
from minicnn.datasets import ImageFolder, load_image_folder
from minicnn.errors import FileFormatError
from minicnn.parallel.ranks import Ranks
from minicnn.training import Callback
from minicnn.training.batches import SourceBatches

KINDS = ["decoded", "decoded here", "cached"]


@pytest.fixture(scope="module")
def letters(tmp_path_factory):
    return write_letters(tmp_path_factory.mktemp("letters"), "ABC", count=9)


@pytest.fixture(scope="module")
def decoded(letters):
    return ImageFolder(letters, 12, workers=1)  # one for several tests, since processes take time to start


@pytest.fixture
def folder(letters, decoded, tmp_path, request):
    if request.param == "cached":
        return ImageFolder(letters, 12, cache=tmp_path / "cache" / "letters.npy")
    return decoded if request.param == "decoded" else ImageFolder(letters, 12, workers=0)


of_each_kind = pytest.mark.parametrize("folder", KINDS, indirect=True)


def new_trainer(shape, **options):
    layers = [Conv2D(4, 3), ReLU(), Pool2D(2), Flatten(), Dense(3)]
    model = Sequential(layers).build(shape, rng=0)
    return Trainer(model, Adam(0.01), threads=1, seed=3, **options)


def weights(trainer):
    return [array.tobytes() for array in trainer.model.get_weights()]


@of_each_kind
def test_an_image_folder_has_the_pictures_of_the_arrays(letters, folder):
    (x, y), names = load_image_folder(letters, 12)
    assert (folder.shape, len(folder), folder.names) == (x.shape, 27, names)
    assert np.array_equal(folder.y, y)
    indices = [np.array([5, 0, 26]), np.array([], np.intp), np.array([1]), np.arange(27), np.array([3, 3])]
    found = list(folder.batches(iter(indices)))
    assert len(found) == len(indices)
    for rows, (pictures, labels) in zip(indices, found, strict=True):
        assert pictures.dtype == np.uint8
        assert np.array_equal(pictures, x[rows])
        assert np.array_equal(labels, y[rows])


@of_each_kind
def test_a_fit_has_the_numbers_of_the_arrays(letters, folder):
    (x, y), _ = load_image_folder(letters, 12)
    arrays, source = (
        new_trainer(x.shape[1:], augment=lambda images, rng: rng.permuted(images, axis=0)) for _ in "ab"
    )
    expected = arrays.fit(x, y, 2, 10, validation_data=(x[:5], y[:5]))
    found = source.fit(folder, None, 2, 10, validation_data=(x[:5], y[:5]))
    assert found.history == expected.history
    assert weights(source) == weights(arrays)
    assert source.evaluate(folder) == arrays.evaluate(x, y)
    assert np.array_equal(source.predict(folder, 8), arrays.predict(x, 8))
    arrays.fit(x, y, 1, 10, validation_data=(x, y))
    source.fit(folder, epochs=1, batch_size=10, validation_data=folder)
    assert source.state.history.history == arrays.state.history.history
    assert source.lr_find(folder, batch_size=10, steps=3).losses == pytest.approx(
        arrays.lr_find(x, y, 10, steps=3).losses
    )


class Stop(Callback):
    def on_batch_end(self, step, logs):
        self.state.interrupted = self.state.optimizer.steps == 4


@of_each_kind
def test_a_fit_resumes_in_the_middle_of_an_epoch(folder, tmp_path):
    whole, first, second = (new_trainer(folder.shape[1:]) for _ in range(3))
    whole.fit(folder, epochs=3, batch_size=10, validation_data=folder)
    there = {"checkpoint": tmp_path / "checkpoints", "validation_data": folder}
    first.fit(folder, epochs=3, batch_size=10, callbacks=[Stop()], **there)
    assert (first.state.epoch, first.state.step) == (1, 1)
    second.fit(folder, epochs=3, batch_size=10, callbacks=[Stop()], **there)
    assert weights(second) == weights(whole)
    assert second.state.history.history == whole.state.history.history


def test_a_fit_on_other_pictures_is_told_from_this_one(letters, tmp_path):
    other = write_letters(tmp_path / "other", "ABC", count=9, seed=1)
    folder, changed = ImageFolder(letters, 12, workers=0), ImageFolder(other, 12, workers=0)
    assert folder.digest() == ImageFolder(letters, 12, cache=tmp_path / "cache.npy").digest()
    assert folder.digest() != ImageFolder(letters, 13).digest()
    new_trainer(folder.shape[1:]).fit(folder, epochs=1, batch_size=10, checkpoint=tmp_path / "c")
    with pytest.warns(UserWarning, match="results will not be bit-identical, because data changed"):
        new_trainer(folder.shape[1:]).fit(changed, epochs=2, batch_size=10, checkpoint=tmp_path / "c")


class Rank:
    """One of several ranks, as far as batches need it."""

    def __init__(self, rank, size):
        self.rank, self.size = rank, size


@of_each_kind
def test_ranks_share_the_batches(folder):
    whole = list(SourceBatches(folder, 10, seed=0).epoch(1, 1, Ranks()))
    parts = [list(SourceBatches(folder, 10, seed=0).epoch(1, 1, Rank(rank, 3))) for rank in range(3)]
    for step, batch in enumerate(whole):
        assert [part[step].size for part in parts] == [batch.size] * 3
        for rank, part in enumerate(parts):
            assert np.array_equal(part[step].x, batch.x[rank::3])
            assert np.array_equal(part[step].y, batch.y[rank::3])


def test_the_cache_is_made_once_and_again_when_the_pictures_change(letters, tmp_path):
    pictures, cache = write_letters(tmp_path / "letters", "AB", count=4), tmp_path / "cache.npy"
    first = ImageFolder(pictures, 8, cache=cache)
    made = cache.stat().st_mtime_ns
    assert np.array_equal(np.load(cache), load_image_folder(pictures, 8)[0][0])  # anyone can read it
    ImageFolder(pictures, 8, cache=cache)
    assert cache.stat().st_mtime_ns == made
    Image.new("RGB", (9, 9), "red").save(pictures / "A" / "000.png")
    second = ImageFolder(pictures, 8, cache=cache)
    ((red, _),) = second.batches([np.array([0])])
    assert red[0, 0, 0].tolist() == [255, 0, 0]
    assert first.shape == second.shape
    assert ImageFolder(pictures, 8, 1, cache=cache).shape == (8, 8, 8, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".cache.npy.lock", "cache.npy", "letters"]
    for damage in (b"", cache.read_bytes()[:-9], cache.read_bytes() + b"}"):
        cache.write_bytes(damage)
        ((grey, _),) = ImageFolder(pictures, 8, 1, cache=cache).batches([np.array([0])])
        assert grey[0, 0, 0].tolist() == [76]


def text(path):
    path.write_bytes(b"x" * 5000)


def array_of_somebody(path):
    np.save(path, np.zeros((4, 2, 2, 3), np.uint8))


@pytest.mark.parametrize(
    "make", [text, array_of_somebody, Path.mkdir, os.mkfifo, lambda path: path.symlink_to("x")]
)
def test_a_cache_overwrites_nothing_but_caches(tmp_path, make):
    pictures, cache = write_letters(tmp_path / "letters", "AB", count=2), tmp_path / "cache.npy"
    make(cache)
    before = cache.read_bytes() if cache.is_file() else cache.lstat()
    with pytest.raises(FileExistsError, match="is not a cache of pictures, and is not overwritten"):
        ImageFolder(pictures, 8, cache=cache)
    assert before == (cache.read_bytes() if cache.is_file() else cache.lstat())
    with pytest.raises(FileExistsError, match="is not a cache of pictures"):
        ImageFolder(pictures, 8, cache=pictures / "A" / "000.png")  # one of the user's pictures
    assert ImageFolder(pictures, 8).shape == (4, 8, 8, 3)


def test_files_that_cannot_be_read_are_named_when_they_are_needed(tmp_path):
    pictures = write_letters(tmp_path / "letters", "AB", count=4)
    (pictures / "A" / "002.png").write_bytes(b"")
    for workers in (0, 1):
        folder = ImageFolder(pictures, 8, workers=workers)
        with pytest.raises(FileFormatError, match=r"A/002\.png is not a valid image .*: it is empty"):
            list(folder.batches([np.arange(8)]))
        assert len(list(folder.batches([np.array([0])]))) == 1  # and the others are still read
    with pytest.raises(FileFormatError, match=r"1 file in .* cannot be used"):
        ImageFolder(pictures, 8, cache=tmp_path / "cache.npy")
    with pytest.raises(ValueError, match="`skip_unreadable` needs a `cache`"):
        ImageFolder(pictures, 8, skip_unreadable=True)
    for _ in range(2):  # made, and read again
        with pytest.warns(UserWarning, match="1 file left out"):
            folder = ImageFolder(pictures, 8, cache=tmp_path / "cache.npy", skip_unreadable=True)
        assert (len(folder), folder.y.tolist()) == (7, [0, 0, 0, 1, 1, 1, 1])
        ((found, _),) = folder.batches([np.array([2])])
        (pictures / "A" / "002.png").unlink()
        (x, _), _ = load_image_folder(pictures, 8)
        (pictures / "A" / "002.png").write_bytes(b"")
        os.utime(pictures / "A" / "002.png", (1, 1))
        assert np.array_equal(found[0], x[2])


def test_a_mutated_cache_is_made_again_or_not_taken_for_one(tmp_path):
    pictures, cache, draws = (
        write_letters(tmp_path / "letters", "AB", 1),
        tmp_path / "c.npy",
        random.Random(3),
    )
    ImageFolder(pictures, 4, cache=cache)
    whole, (x, _) = cache.read_bytes(), load_image_folder(pictures, 4)[0]
    damaged = [whole.replace(b"}", b"'", 1), *(mutated(whole[:128], draws) + whole[128:] for _ in range(60))]
    outcomes = set()
    for content in damaged:
        cache.write_bytes(content)
        try:
            ((found, _),) = ImageFolder(pictures, 4, cache=cache).batches([np.arange(2)])
        except FileExistsError:
            outcomes.add("not taken for a cache")
        else:
            assert np.array_equal(found, x)
            outcomes.add("made again")
    assert len(outcomes) == 2


@pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")
def test_killed_processes_are_replaced_by_this_one_and_none_outlives_its_folder(letters):
    folder = ImageFolder(letters, 8, workers=2)
    list(folder.batches([np.array([0])]))
    killed, alive = folder._decoders._processes
    os.kill(killed.pid, signal.SIGKILL)
    (x, _), _ = load_image_folder(letters, 8)
    for rows, (found, _) in zip(range(6), folder.batches(np.array([k]) for k in range(6)), strict=True):
        assert np.array_equal(found[0], x[rows])
    assert alive.poll() is None
    del folder
    deadline = time.monotonic() + 20
    while alive.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_fit_says_what_does_not_fit(letters):
    folder = ImageFolder(letters, 12)
    trainer = new_trainer((12, 12, 1))
    with pytest.raises(
        ValueError, match=r"examples must have shape \(12, 12, 1\), got an array of shape \(27, "
    ):
        trainer.fit(folder)
    trainer = new_trainer((12, 12, 3))
    with pytest.raises(TypeError, match="`y` must be omitted: ImageFolder has its own labels"):
        trainer.fit(folder, folder.y)
    assert repr(folder) == f"ImageFolder('{letters}', shape=(27, 12, 12, 3))"


def test_a_folder_of_other_classes_is_refused_where_its_labels_count(letters, decoded, tmp_path):
    others = ImageFolder(write_letters(tmp_path / "others", "ABD", count=2), 12, workers=0)
    fewer = ImageFolder(write_letters(tmp_path / "fewer", "AC", count=2), 12, workers=0)
    same = ImageFolder(write_letters(tmp_path / "same", "ABC", count=2), 12, workers=0)
    for folder, names in ((others, "A, B, D"), (fewer, "A, C")):
        message = f"has the classes {names}, but the model was trained on A, B, C"
        own = new_trainer(decoded.shape[1:])
        with pytest.raises(ValueError, match=f"`validation_data` {message}"):
            own.fit(decoded, validation_data=folder, verbose=0)
        assert own.optimizer.steps == 0
        own.evaluate(folder)  # of a model whose classes are not known
        own.fit(decoded, validation_data=same, verbose=0)
        with pytest.raises(ValueError, match=f"`x` {message}"):
            own.evaluate(folder)
        own.predict(folder)  # which has no labels
        own.fit(others, verbose=0)  # from now on, these
        own.evaluate(others)
