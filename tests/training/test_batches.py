import functools
import io
import sys
import time

import numpy as np
import pytest

import minicnn
from minicnn import SGD, Callback, Dense, Flatten, Sequential
from minicnn.parallel.ranks import Ranks
from minicnn.saving.fingerprint import data_digest
from minicnn.training.batches import ArrayBatches, IterableBatches

# Fits of toy data end before a worker process has started: these do without.
Trainer = functools.partial(minicnn.Trainer, workers="threads")

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 200, (22, 3, 3, 1)).astype(np.uint8), RNG.integers(0, 2, 22)


def net():
    return Sequential([Flatten(), Dense(2)]).build((3, 3, 1), rng=0)


def one_of(rank, size):
    ranks = Ranks()
    ranks.rank, ranks.size = rank, size
    return ranks


def in_order(seed, epoch, size=5):
    order = np.random.default_rng([seed, epoch]).permutation(len(X))
    return [(X[order[i : i + size]], Y[order[i : i + size]]) for i in range(0, len(X), size)]


class Rows(np.ndarray):
    """Remembers which rows were asked for."""

    def __getitem__(self, index):
        self.asked.append(index)
        return np.asarray(self)[index]


def test_a_rank_asks_arrays_for_the_rows_of_its_shards_only():
    rows = X.view(Rows)
    rows.asked = []
    shards = list(ArrayBatches(rows, Y, 5, seed=3).epoch(1, 0, one_of(1, 3)))
    order = np.random.default_rng([3, 1]).permutation(22)
    expected = [order[start : start + 5][1::3] for start in (0, 5, 10, 15, 20)]
    for asked, own, batch in zip(rows.asked, expected, shards, strict=True):
        np.testing.assert_array_equal(asked, own)
        np.testing.assert_array_equal(batch.x, X[own])
        np.testing.assert_array_equal(batch.y, Y[own])
        assert batch.size in (5, 2)


def test_the_ranks_shards_are_the_batch_and_may_be_empty():
    parts = [list(ArrayBatches(X, Y, 7, seed=0).epoch(0, 3, one_of(rank, 3))) for rank in range(3)]
    assert [[(batch.size, len(batch.x)) for batch in part] for part in parts] == [
        [(1, 1)],
        [(1, 0)],
        [(1, 0)],
    ]


def test_a_batch_that_is_a_view_of_the_disk_is_not_read_to_be_shared(tmp_path):
    np.save(tmp_path / "x.npy", X)
    disk = np.load(tmp_path / "x.npy", mmap_mode="r")
    (batch,) = IterableBatches([(disk[4:12], Y[4:12])], net()).epoch(0, 0, one_of(1, 2))
    assert (batch.size, len(batch.x)) == (8, 4)
    assert np.shares_memory(batch.x, disk)
    np.testing.assert_array_equal(batch.x, X[5:12:2])


@pytest.mark.parametrize("form", ["function", "generator function", "list"])
def test_given_batches_train_as_the_same_batches_of_arrays(form):
    arrays, given = Trainer(net(), SGD(0.1), seed=3), Trainer(net(), SGD(0.1), seed=3)
    epochs = 1 if form == "list" else 3
    sources = {
        "function": lambda epoch: in_order(3, epoch),
        "generator function": lambda epoch: (batch for batch in in_order(3, epoch)),
        "list": in_order(3, 0),
    }
    expected = arrays.fit(X, Y, epochs, 5)
    assert given.fit(sources[form], epochs=epochs) == expected
    for ours, theirs in zip(given.model.get_weights(), arrays.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("after", [1, 4, 5, 7])
def test_given_batches_go_on_from_a_checkpoint_at_the_batch_that_is_next(tmp_path, after):
    class Interrupt(Callback):
        steps = 0

        def on_batch_end(self, step, logs):
            self.steps += 1
            self.state.interrupted = self.steps == after

    def make():
        return Trainer(net(), SGD(0.1, momentum=0.9), seed=3)

    def source(epoch):
        return in_order(3, epoch)

    whole, again = make(), make()
    history = whole.fit(source, epochs=3)
    make().fit(source, epochs=3, checkpoint=tmp_path, checkpoint_every=1, callbacks=[Interrupt()])
    assert again.fit(source, epochs=3, checkpoint=tmp_path, checkpoint_every=1) == history
    for ours, theirs in zip(again.model.get_weights(), whole.model.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        (X, np.ma.array(Y, mask=Y > 0), "`y` must be an array of numbers, got a masked array"),
        (np.ma.array(X, mask=X > 9), Y, "`x` must be an array of numbers, got a masked array"),
        (X, np.array(["cat", "dog"])[Y], "`y` must be an array of numbers, got <U3"),
        (X, Y.astype(object), "`y` must be an array of numbers, got object"),
        (X.astype(complex), Y, "`x` must be an array of numbers, got complex128"),
        (X, np.array(["2026-01-01"] * len(Y), "M8[D]"), "`y` must be an array of numbers, got datetime64"),
    ],
)
def test_what_is_no_array_of_numbers_is_refused_everywhere(x, y, message):
    trainer = Trainer(net(), SGD())
    for attempt in (
        lambda: trainer.fit(x, y),
        lambda: trainer.fit([(x, y)]),
        lambda: trainer.fit(X, Y, validation_data=(x, y)),
        lambda: trainer.evaluate(x, y),
    ):
        with pytest.raises(TypeError, match=message):
            attempt()
    assert trainer.optimizer.steps == 0


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        (X, TypeError, "`x` must be an array with labels `y`, or an iterable of batches"),
        (3, TypeError, r"`x` must be an array .* got int"),
        (iter(in_order(0, 0)), ValueError, "`x` yielded no batches in epoch 1"),
        ([], ValueError, "`x` yielded no batches in epoch 0; it must be iterable again in each epoch"),
        ([X], TypeError, r"a batch must be \(x, y\) or \(x, y, sample_weight\), got ndarray"),
        (
            [(X[:, :2], Y)],
            ValueError,
            r"examples must have shape \(3, 3, 1\), got an array of shape \(22, 2, 3, 1\)",
        ),
        ([(X, Y[:3])], ValueError, "x and y need the same length"),
    ],
)
def test_what_gives_no_batches_is_refused(source, error, message):
    with pytest.raises(error, match=message):
        Trainer(net(), SGD()).fit(source, epochs=2)


def test_a_memory_map_is_recognised_by_some_of_its_rows(tmp_path):
    """All rows of a small one, so that its digest is that of an array; of 10,000 rows each third."""
    rows = np.arange(20_000).reshape(10_000, 2)
    np.save(tmp_path / "x.npy", rows)
    disk = np.load(tmp_path / "x.npy", mmap_mode="r+")
    assert data_digest(disk[:4096]) == data_digest(rows[:4096])
    before = data_digest(disk)
    disk[1] = disk[2] = 0
    assert data_digest(disk) == before
    disk[3] = 0
    assert data_digest(disk) != before


@pytest.mark.parametrize(
    ("source", "shown"), [(in_order(3, 0), "0% |"), (lambda epoch: in_order(3, epoch), " 0 batches")]
)
def test_the_progress_bar_counts_given_batches(monkeypatch, source, shown):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    class Pause(Callback):
        def on_batch_end(self, step, logs):
            time.sleep(0.15)  # the bar is drawn ten times a second at most

    monkeypatch.setattr(sys, "stderr", Terminal())
    Trainer(net(), SGD(0.1)).fit(source, epochs=1, callbacks=[Pause()])
    _, first, *later, last = sys.stderr.getvalue().split("\r")
    assert shown in first
    assert last.startswith("epoch 1/1: loss 0.")
    assert "batches/s" in "".join(later)  # known after the first batch
