import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_info

from minicnn import (
    SGD,
    BatchNorm,
    Callback,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Parameter,
    Sequential,
    Tanh,
    Trainer,
)
from minicnn.losses import softmax_cross_entropy
from minicnn.parallel import data_parallel
from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.shard import compute_shard
from minicnn.training import Batch


@pytest.mark.parametrize(
    ("smallest", "examples", "split_into"),
    [(36, 3, 1), (36, 4, 2), (36, 6, 3), (36, 99, 3), (1, 2, 2), (1, 1, 1)],
)
def test_a_batch_is_split_where_each_shard_is_large_enough(monkeypatch, smallest, examples, split_into):
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", smallest)  # doubled on threads; an example has 36
    model = Sequential([Flatten(), Dense(2)]).build((6, 6, 1), rng=0).train()
    x, y = np.ones((examples, 6, 6, 1), np.float32), np.zeros(examples, int)
    seen, lock = [], threading.Lock()

    def loss(predictions, labels):
        with lock:  # so that it cannot be sent to a worker
            seen.append(len(predictions))
        return softmax_cross_entropy(predictions, labels)

    with DataParallel(model, loss, 3, workers="threads") as parallel:
        parallel.forward_backward(x, y)
    assert len(seen) == split_into
    assert sum(seen) == examples


@pytest.mark.parametrize("examples", [1, 127, 128, 333])
def test_microbatches_give_the_result_of_the_whole_shard(examples):
    """A microbatch has at least 64 examples."""
    rng = np.random.default_rng(0)
    model = Sequential([Flatten(), Dense(7)]).build((30, 30, 1), rng=0).train()
    parameters = model.parameters()
    x, y = rng.integers(0, 255, (examples, 30, 30, 1), dtype=np.uint8), rng.integers(0, 7, examples)
    sizes = []

    def loss(predictions, labels):
        sizes.append(len(predictions))
        return softmax_cross_entropy(predictions, labels)

    found = []
    for split in (False, True):
        value, predictions = compute_shard(model, parameters, loss, x, y, examples + 5, split)
        found.append([value, predictions, *(parameter.grad.copy() for parameter in parameters)])
    for whole, microbatched in zip(*found, strict=True):
        np.testing.assert_allclose(microbatched, whole, rtol=1e-5, atol=1e-6)
    assert sizes[1:] == {1: [1], 127: [127], 128: [64, 64], 333: [66, 67, 66, 67, 67]}[examples]


def test_ranks_and_threads_use_microbatches_unless_there_is_code_of_the_user():
    class TwoRanks:
        rank, size = 0, 2

    model = Sequential([Flatten(), Dense(2)]).build((6, 6, 1), rng=0)
    assert DataParallel(model, softmax_cross_entropy, 2).worker_pool.is_builtin
    assert DataParallel(model, softmax_cross_entropy, 1, TwoRanks).worker_pool.is_builtin
    assert not DataParallel(model, softmax_cross_entropy, 1).worker_pool.is_builtin
    assert not DataParallel(
        model, lambda p, labels: softmax_cross_entropy(p, labels), 2
    ).worker_pool.is_builtin


class Seen(Layer):
    """A user's layer that notes the sizes of its batches."""

    def __init__(self):
        self.sizes = []

    def forward(self, x):
        self.sizes.append(len(x))
        return x

    def backward(self, dy):
        return dy


@pytest.mark.parametrize("kind", ["package", "statistics", "layer", "dense", "loss"])
def test_one_thread_uses_microbatches_for_maps_without_code_of_the_user(kind):
    """Large Dense layers are faster with the whole batch."""
    rng = np.random.default_rng(0)
    added = {"statistics": [BatchNorm()], "layer": [Seen()], "dense": [Flatten(), Dense(50)]}.get(kind, [])
    model = Sequential([Conv2D(2, 3), *added, Flatten(), Dense(3)]).build(
        (30, 30, 1), rng=0, dtype=np.float64
    )
    loss = (lambda p, labels: softmax_cross_entropy(p, labels)) if kind == "loss" else softmax_cross_entropy
    x, y, sizes = rng.random((200, 30, 30, 1)), rng.integers(0, 3, 200), []
    expected = loss(model.train()(x), y)
    model.backward(expected[1])
    gradients = [parameter.grad.copy() for parameter in model.parameters()]
    with DataParallel(model, loss, 1) as parallel:
        compute = parallel.forward_backward
        forward = model[0].forward
        model[0].forward = lambda x: sizes.append(len(x)) or forward(x)
        value, predictions = compute(x, y)
    assert sizes == ([66, 67, 67] if kind == "package" else [200])
    np.testing.assert_allclose(value, expected[0], rtol=1e-12)
    assert predictions.shape == (200, 3)
    for parameter, gradient in zip(model.parameters(), gradients, strict=True):
        np.testing.assert_allclose(parameter.grad, gradient, rtol=1e-9, atol=1e-13)


def test_one_thread_gives_a_thawed_batch_norm_the_whole_batch():
    rng = np.random.default_rng(0)
    x, y = rng.random((200, 30, 30, 1), np.float32), rng.integers(0, 3, 200)
    model = Sequential([BatchNorm(momentum=0), Flatten(), Dense(3)]).build((30, 30, 1), rng=0)
    model[0].trainable = False
    trainer = Trainer(model, SGD(0.01), threads=1)
    with trainer.session():
        trainer.train_step(Batch.of(x, y))
        model[0].trainable = True
        trainer.train_step(Batch.of(x, y))
    np.testing.assert_allclose(model[0].running_mean.value, x.mean(dtype=np.float64), rtol=1e-6)
    np.testing.assert_allclose(model[0].running_var.value, x.var(dtype=np.float64), rtol=1e-5)


class Times(Layer):
    """A user's layer with a hyperparameter."""

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        return x * self.factor

    def backward(self, dy):
        return dy * self.factor


class ChangeFactor(Callback):
    """Changes the hyperparameter when an epoch begins."""

    def on_epoch_begin(self, epoch):
        knob = self.state.model[1]
        knob.factor = 1.0 + epoch


@pytest.mark.parametrize("workers", [False, True])
@pytest.mark.parametrize("when", ["before", "between", "exchanged"])
def test_a_change_of_a_layer_applies_to_all_shards(monkeypatch, workers, when):
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", 1)
    x, y = np.random.default_rng(0).random((64, 6, 6, 1), np.float32), np.arange(64) % 3
    losses = []
    for threads in (1, 2):
        layer = Dropout(0.9) if workers else Times(9.0)
        model = Sequential([Flatten(), layer, Dense(3)]).build((6, 6, 1), rng=0)
        trainer = Trainer(model, SGD(0.0), threads=threads)
        if when == "between":
            trainer.fit(x, y, batch_size=64)
            for worker in trainer._data_parallel.worker_pool.workers.values():
                worker.pipe.poll(30)
            trainer.fit(x, y, batch_size=64)
            ready = [worker.ready for worker in trainer._data_parallel.worker_pool.workers.values()]
            assert ready == [True] * (threads == 2)
        if when == "exchanged":
            model.layers[1] = Tanh().build((36,))
        elif workers:
            layer.rate = 0.0
        else:
            layer.factor = 0.5
        callbacks = [ChangeFactor()] if when == "before" and not workers else []
        history = trainer.fit(x, y, epochs=2, batch_size=64, callbacks=callbacks)
        losses.append(history.history["loss"])
        assert trainer.evaluate(x, y)["loss"] == pytest.approx(losses[-1][-1], rel=1e-6)
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_shards_of_a_layer_that_cannot_be_sent_are_twice_as_large_also_if_it_was_added_later():
    class Locked(Times):
        lock = threading.Lock()

    model = Sequential([Flatten(), Dense(3)]).build((6, 6, 1), rng=0).train()
    parallel = DataParallel(model, softmax_cross_entropy, 2)
    assert parallel.smallest_shard == 1
    model.layers[0:1] = [Flatten(), Locked(2.0)]
    parallel.sync_replicas()
    assert parallel.smallest_shard == 2


def test_a_data_parallel_that_was_not_entered_raises():
    model = Sequential([Flatten(), Dense(3)]).build((6, 6, 1), rng=0).train()
    with pytest.raises(RuntimeError, match="use a `with` statement"):
        DataParallel(model, softmax_cross_entropy, 2).forward_backward(
            np.ones((4, 6, 6, 1)), np.zeros(4, int)
        )


def test_a_batch_dependent_layer_cannot_be_added_after_the_trainer_was_made():
    model = Sequential([Flatten(), Dense(3)]).build((6, 6, 1), rng=0)
    trainer = Trainer(model, SGD(0.0), threads=2)
    model.layers.insert(1, MixesExamples())
    with pytest.raises(
        ValueError, match="for a model with MixesExamples that needs whole batches and does not call"
    ):
        trainer.fit(np.ones((4, 6, 6, 1), np.float32), [0, 1, 2, 0])


class OtherHead(Callback):
    """Exchanges the last layer after the first epoch."""

    def on_epoch_end(self, epoch, logs):
        layers = self.state.model.layers
        layers[-1] = Dense(3).build(layers[-1].input_shape, rng=1).train()


@pytest.mark.parametrize("threads", [1, 2])
def test_a_layer_with_weights_cannot_be_exchanged_during_a_fit(threads):
    model = Sequential([Flatten(), Dense(3)]).build((6, 6, 1), rng=0)
    trainer = Trainer(model, SGD(0.1), threads=threads, callbacks=[OtherHead()])
    x, y = np.ones((4, 6, 6, 1), np.float32), [0, 1, 2, 0]
    with pytest.raises(RuntimeError, match="a layer with weights was replaced, added or removed during"):
        trainer.fit(x, y, epochs=2, verbose=0)


class FreezesNorm(Callback):
    """Freezes a layer after the first step of each epoch, and thaws it after the second."""

    def on_batch_end(self, step, logs):
        self.state.model[0].trainable = step != 1


def test_running_averages_can_be_frozen_between_two_steps():
    x, y = np.random.default_rng(0).random((12, 6, 6, 1)), np.arange(12) % 3
    weights = []
    for threads in (1, 2):
        layers = [BatchNorm(scale=False, center=False), Flatten(), Dense(3)]
        model = Sequential(layers).build((6, 6, 1), rng=0, dtype=np.float64)
        Trainer(model, SGD(0.1), threads=threads, workers="threads", callbacks=[FreezesNorm()]).fit(
            x, y, batch_size=4, epochs=2, verbose=0
        )
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


class MixesExamples(Times):
    """Declares that its output depends on the whole batch."""

    batch_dependent = True
    input_shape = (36,)

    def __init__(self):
        super().__init__(1.0)


def test_the_number_of_threads_is_checked_for_models_that_need_whole_batches_too():
    for layer in (MixesExamples(), Times(1.0)):
        model = Sequential([layer, Dense(3)]).build((36,), rng=0)
        with pytest.raises(ValueError, match="`threads` must be"):
            DataParallel(model, softmax_cross_entropy, 0)


class Counts(Layer):
    """Counts examples in a weight, without declaring it."""

    def init_params(self, input_shape, rng):
        self.count = Parameter(np.zeros(1), trainable=False)

    def forward(self, x):
        if self.training:
            self.count.value = self.count.value + len(x)
        return x.copy()

    def backward(self, dy):
        return dy.copy()


def test_forward_may_change_weights_on_several_threads_only_in_a_batch_dependent_layer():
    x, y = np.ones((8, 6), np.float32), np.arange(8) % 3
    for threads, declared in ((1, False), (2, False), (None, True)):
        layer = Counts()
        layer.batch_dependent = declared
        model = Sequential([Dense(3), layer]).build((6,), rng=0)
        trainer = Trainer(model, SGD(0.1), threads=threads)
        if threads == 2:
            before = model.get_weights()
            with pytest.raises(ValueError, match="set `batch_dependent = True` on its class"):
                trainer.fit(x, y)
            assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))
        else:
            trainer.fit(x, y)
            assert layer.count.value == 8


def test_a_dropout_added_later_draws_different_masks_in_each_shard(monkeypatch):
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", 1)
    model = Sequential([Flatten()]).build((8, 8, 1), rng=0)
    with DataParallel(model.train(), softmax_cross_entropy, 3) as parallel:
        model.layers.append(Dropout(0.5).build((64,), rng=0).train())
        parallel.sync_replicas()
        x = np.ones((4, 8, 8, 1), np.float32)
        masks = [model(x) for model in parallel.models]
    assert not np.array_equal(masks[0], masks[1])
    assert not np.array_equal(masks[1], masks[2])
    assert not np.array_equal(masks[0], masks[2])


class HoldsALock(Times):
    """Stores something that cannot be copied during training."""

    def forward(self, x):
        if self.training and not hasattr(self, "lock"):
            self.lock = threading.Lock()
        return super().forward(x)


def test_a_model_that_cannot_be_copied_keeps_its_replicas(monkeypatch):
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", 1)
    model = Sequential([HoldsALock(1.0), Dense(3)]).build((6,), rng=0)
    Trainer(model, SGD(0.1), threads=2).fit(np.ones((8, 6), np.float32), np.arange(8) % 3, epochs=3)


def test_a_fit_that_raises_restores_the_blas_threads():
    before = [pool["num_threads"] for pool in threadpool_info()]
    test_a_batch_dependent_layer_cannot_be_added_after_the_trainer_was_made()
    assert [pool["num_threads"] for pool in threadpool_info()] == before


def test_replicas_are_replaced_only_after_a_change():
    model = Sequential([Flatten(), Times(2.0), Dense(2)]).build((3, 3, 1), rng=0).train()
    parallel = DataParallel(model, softmax_cross_entropy, 2)
    replica = parallel.models[1]
    model.layers[2].kernel.value = np.ones((9, 2))
    parallel.sync_replicas()
    assert parallel.models[1] is replica
    model.layers[1].factor = 3.0
    parallel.sync_replicas()
    assert parallel.models[1] is not replica
    assert parallel.models[1][1].factor == 3.0
    assert parallel.models[1].parameters()[0] is parallel.parameters[1][0]
