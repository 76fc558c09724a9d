import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minicnn import SGD, Callback, Dense, Dropout, Flatten, Layer, Parameter, Sequential, Tanh, Trainer
from minicnn.losses import softmax_cross_entropy
from minicnn.parallel import data_parallel
from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.shard import compute_shard


@pytest.mark.parametrize(
    ("smallest", "examples", "split_into"),
    [(36, 3, 1), (36, 4, 2), (36, 6, 3), (36, 99, 3), (1, 2, 2), (1, 1, 1)],
)
def test_a_batch_is_split_where_each_shard_is_large_enough(monkeypatch, smallest, examples, split_into):
    monkeypatch.setattr(
        data_parallel, "SMALLEST_SHARD", smallest
    )  # of 36 values an example, twice of it on threads
    model = Sequential([Flatten(), Dense(2)]).build((6, 6, 1), rng=0).train()
    x, y = np.ones((examples, 6, 6, 1), np.float32), np.zeros(examples, int)
    seen = []
    with DataParallel(
        model, lambda p, labels: (seen.append(len(p)), softmax_cross_entropy(p, labels))[1], 3
    ) as parts:
        parts.forward_backward(x, y)
    assert len(seen) == split_into
    assert sum(seen) == examples


@pytest.mark.parametrize("examples", [1, 127, 128, 333])
def test_large_shards_are_computed_in_pieces_with_the_same_result(examples):
    """Of 64 examples and more, so that arrays stay in a core's cache."""
    rng = np.random.default_rng(0)
    model = Sequential([Flatten(), Dense(7)]).build((30, 30, 1), rng=0).train()
    parameters = model.parameters()
    x, y = rng.integers(0, 255, (examples, 30, 30, 1), dtype=np.uint8), rng.integers(0, 7, examples)
    sizes = []

    def loss(predictions, labels):
        sizes.append(len(predictions))
        return softmax_cross_entropy(predictions, labels)

    found = []
    for cut in (False, True):
        value, predictions = compute_shard(model, parameters, loss, x, y, examples + 5, cut)
        found.append([value, predictions, *(parameter.grad.copy() for parameter in parameters)])
    for whole, pieces in zip(*found, strict=True):
        np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-6)
    assert sizes[1:] == {1: [1], 127: [127], 128: [64, 64], 333: [66, 67, 66, 67, 67]}[examples]


def test_two_ranks_cut_as_two_threads_do_and_what_users_write_is_not_cut():
    class Two:
        rank, size = 0, 2

    model = Sequential([Flatten(), Dense(2)]).build((6, 6, 1), rng=0)
    assert DataParallel(model, softmax_cross_entropy, 2).is_builtin
    assert DataParallel(model, softmax_cross_entropy, 1, Two).is_builtin
    assert not DataParallel(model, softmax_cross_entropy, 1).is_builtin
    assert not DataParallel(model, lambda p, labels: softmax_cross_entropy(p, labels), 2).is_builtin


class Times(Layer):
    """A layer of a user's, with a knob."""

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return x * self.factor

    def backward(self, dy):
        return dy * self.factor


class Turn(Callback):
    """Turns a knob when an epoch begins."""

    def on_epoch_begin(self, epoch):
        knob = self.trainer.model[1]
        knob.factor = 1.0 + epoch


@pytest.mark.parametrize("workers", [False, True])
@pytest.mark.parametrize("when", ["before", "between", "exchanged"])
def test_what_is_changed_in_a_layer_counts_in_all_shards(monkeypatch, workers, when):
    """A worker, too, must hear of it."""
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", 1)
    x, y = np.random.default_rng(0).random((64, 6, 6, 1), np.float32), np.arange(64) % 3
    losses = []
    for threads in (1, 2):
        layer = Dropout(0.9) if workers else Times(9.0)
        model = Sequential([Flatten(), layer, Dense(3)]).build((6, 6, 1), rng=0)
        trainer = Trainer(model, SGD(0.0), threads=threads)
        if when == "between":
            trainer.fit(x, y, batch_size=64)
            for worker in trainer._data_parallel.workers.values():
                worker.pipe.poll(30)
            trainer.fit(x, y, batch_size=64)
            there = [worker.ready for worker in trainer._data_parallel.workers.values()]
            assert there == [True] * (workers and threads == 2)
        if when == "exchanged":
            model.layers[1] = Tanh().build((36,))
        elif workers:
            layer.rate = 0.0
        else:
            layer.factor = 0.5
        callbacks = [Turn()] if when == "before" and not workers else []
        history = trainer.fit(x, y, epochs=2, batch_size=64, callbacks=callbacks)
        losses.append(history.history["loss"])
        assert trainer.evaluate(x, y)["loss"] == pytest.approx(losses[-1][-1], rel=1e-6)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_a_layer_that_mixes_examples_comes_too_late_for_a_trainer():
    model = Sequential([Flatten(), Dense(3)]).build((6, 6, 1), rng=0)
    trainer = Trainer(model, SGD(0.0), threads=2)
    model.layers.insert(1, Mixes())
    with pytest.raises(ValueError, match="must not be given a Mixes when it has a trainer"):
        trainer.fit(np.ones((4, 6, 6, 1), np.float32), [0, 1, 2, 0])


class Mixes(Times):
    """Says that its examples influence each other."""

    batch_dependent = True
    input_shape = (36,)

    def __init__(self):
        super().__init__(1.0)


class Counts(Layer):
    """Counts examples in a weight, and does not say so."""

    def init_params(self, input_shape, rng):
        self.count = Parameter(np.zeros(1), trainable=False)

    def forward(self, x):
        if self.training:
            self.count.value = self.count.value + len(x)
        return x.copy()

    def backward(self, dy):
        return dy.copy()


def test_weights_that_forward_changes_are_refused_on_several_threads_unless_the_layer_says_so():
    x, y = np.ones((8, 6), np.float32), np.zeros(8, int)
    for threads, says in ((1, False), (2, False), (None, True)):
        layer = Counts()
        layer.batch_dependent = says
        model = Sequential([Dense(3), layer]).build((6,), rng=0)
        trainer = Trainer(model, SGD(0.1), threads=threads)
        if threads == 2:
            before = model.get_weights()
            with pytest.raises(ValueError, match="must say `batch_dependent = True`"):
                trainer.fit(x, y)
            assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
        else:
            trainer.fit(x, y)
            assert layer.count.value == 8


def test_a_dropout_that_comes_later_draws_other_masks_in_each_shard(monkeypatch):
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", 1)
    model = Sequential([Flatten()]).build((8, 8, 1), rng=0)
    with DataParallel(model.train(), softmax_cross_entropy, 3) as parts:
        model.layers.append(Dropout(0.5).build((64,), rng=0).train())
        parts.sync_replicas()
        x = np.ones((4, 8, 8, 1), np.float32)
        masks = [one(x) for one in parts.models]
    assert not np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[1], masks[2])
    assert not np.array_equal(masks[0], masks[2])


class HoldsALock(Times):
    """Makes something that cannot be copied when it is trained."""

    def forward(self, x):
        if self.training and not hasattr(self, "lock"):
            self.lock = threading.Lock()
        return super().forward(x)


def test_what_cannot_be_copied_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", 1)
    model = Sequential([HoldsALock(1.0), Dense(3)]).build((6,), rng=0)
    Trainer(model, SGD(0.1), threads=2).fit(np.ones((8, 6), np.float32), np.zeros(8, int), epochs=3)


def test_a_fit_that_is_refused_leaves_blas_alone():
    before = [pool["num_threads"] for pool in threadpool_info()]
    test_a_layer_that_mixes_examples_comes_too_late_for_a_trainer()
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_replicas_are_renewed_only_where_something_has_changed():
    model = Sequential([Flatten(), Times(2.0), Dense(2)]).build((3, 3, 1), rng=0).train()
    parts = DataParallel(model, softmax_cross_entropy, 2)
    replica = parts.models[1]
    model.layers[2].kernel.value = np.ones((9, 2))
    parts.sync_replicas()
    assert parts.models[1] is replica
    model.layers[1].factor = 3.0
    parts.sync_replicas()
    assert parts.models[1] is not replica
    assert parts.models[1][1].factor == 3.0
    assert parts.models[1].parameters()[0] is parts.parameters[1][0]
