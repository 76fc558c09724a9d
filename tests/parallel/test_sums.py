"""Sums over the batch: layers and losses that need the whole batch, computed in shards."""

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from minicnn import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Parameter,
    ReLU,
    Sequential,
    sum_over_batch,
)
from minicnn.losses import softmax_cross_entropy
from minicnn.parallel import sharded_batch, sums
from minicnn.parallel.data_parallel import DataParallel

EXAMPLES = 23
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(EXAMPLES, 6, 6, 2)) + 3, np.arange(EXAMPLES) % 3


class Standardize(Layer):
    """A user's layer: divides by the root of the mean square over the batch, and counts examples."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        self.seen = Parameter(np.zeros(1), trainable=False)

    def forward(self, x):
        if not self.training:
            return x.copy()
        count = self.sum_over_batch(x.size)
        scale = (self.sum_over_batch(np.square(x).sum()) / count) ** -0.5
        self.cache = x, scale, count
        self.seen.value = self.seen.value + self.sum_over_batch(len(x))
        return x * x.dtype.type(scale)

    def backward(self, dy):
        x, scale, count = self.cache
        product = self.sum_over_batch(float((dy * x).sum()))
        return (dy * scale - x * scale**3 * product / count).astype(dy.dtype)


def weighted(predictions, labels):
    """A user's loss: the mean weighted by class, divided by the sum of the weights."""
    weights = np.array([1.0, 5.0, 20.0])[labels]
    weights = weights / (sum_over_batch(weights.sum()) / sum_over_batch(len(labels)))
    z = predictions - predictions.max(axis=1, keepdims=True)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    own, hot = weights[:, None] / len(labels), np.eye(3)[labels]
    value = -(own[:, 0] * np.log(p[np.arange(len(p)), labels])).sum()
    return float(value), (own * (p - hot)).astype(predictions.dtype)


def overlap(predictions, labels):
    """Another one, a quotient of sums (the Dice loss): equal in all shards."""
    hot, n = np.eye(3)[labels], len(labels)
    p = 1 / (1 + np.exp(-predictions))
    product, total = sum_over_batch((p * hot).sum()), sum_over_batch((p + hot).sum())
    dp = -2 * (hot * total - product) / total**2
    share = sum_over_batch(n) / n
    return 1 - 2 * product / total, (share * dp * p * (1 - p)).astype(predictions.dtype)


def net(*middle, dtype=np.float64):
    layers = [Conv2D(4, 3), *middle, ReLU(), Flatten(), Dense(5), BatchNorm(), Dense(3)]
    return Sequential(layers).build((6, 6, 2), rng=0, dtype=dtype).train()


CASES = {
    "BatchNorm": ([BatchNorm], softmax_cross_entropy),
    "layer": ([Standardize], softmax_cross_entropy),
    "loss": ([], weighted),
    "quotient": ([BatchNorm], overlap),
    "all": ([BatchNorm, Standardize], weighted),
}


def steps(parallel, count=2, x=X, y=Y):
    """Return loss, predictions, gradients and statistics of some steps, each with other examples first."""
    found = []
    for k in range(count):
        loss, predictions = parallel.forward_backward(np.roll(x, k, axis=0), np.roll(y, k))
        parameters = parallel.parameters[0]
        statistics = [p.value.copy() for p in parameters if not p.trainable]
        found.append([np.float64(loss), predictions, *(p.grad.copy() for p in parameters), *statistics])
    return found


def wait_for_workers(parallel):
    for worker in parallel.worker_pool.workers.values():
        assert worker.closed or worker.ready or worker.pipe.poll(60)


def assert_equal(these, those, **tolerance):
    for one, other in zip(these, those, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_allclose(a, b, **({"rtol": 0, "atol": 0} | tolerance))


def expected(case, count=2, **options):
    middle, loss = CASES[case]
    with DataParallel(net(*(layer() for layer in middle)), loss, 1) as alone:
        return steps(alone, count, **options)


@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("case", CASES)
def test_shards_on_threads_compute_what_one_thread_does(case, threads):
    middle, loss = CASES[case]
    found = []
    for _ in range(2):
        with DataParallel(net(*(layer() for layer in middle)), loss, threads, workers="threads") as parallel:
            assert len(parallel.models) == threads
            found.append(steps(parallel))
    assert_equal(found[0], expected(case), rtol=1e-10, atol=1e-12)
    assert_equal(*found)


def assert_workers_compute_what_threads_compute(case, threads):
    middle, loss = CASES[case]
    found = []
    for workers in ("threads", "processes"):
        model = net(*(layer() for layer in middle), Dropout(0.2))
        with DataParallel(model, loss, threads, workers=workers) as parallel:
            first = steps(parallel, 1)
            wait_for_workers(parallel)
            found.append(first + steps(parallel, 3))
            used = parallel.worker_pool.workers.values()
            assert all(worker.ready and worker.verified and not worker.closed for worker in used)
            assert len(used) == (threads - 1) * (workers == "processes")
    assert_equal(*found)


def test_workers_compute_what_threads_compute_bit_for_bit():
    assert_workers_compute_what_threads_compute("all", 3)


@pytest.mark.campaign
@pytest.mark.parametrize("threads", [2, 3, 5])
@pytest.mark.parametrize("case", CASES)
def test_workers_compute_what_threads_compute_in_all_cases(case, threads):
    assert_workers_compute_what_threads_compute(case, threads)


@pytest.mark.parametrize("examples", [1, 2, 4])
def test_a_batch_smaller_than_the_number_of_shards(examples):
    with DataParallel(net(BatchNorm(), Standardize()), weighted, 3, workers="threads") as parallel:
        found = steps(parallel, x=X[:examples], y=Y[:examples])
    assert_equal(found, expected("all", x=X[:examples], y=Y[:examples]), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("workers", ["threads", "processes"])
def test_a_shard_that_raises_ends_the_others(workers):
    """The loss of the last shard raises, while the others wait for it in backward."""
    with DataParallel(net(BatchNorm()), softmax_cross_entropy, 3, workers=workers) as parallel:
        first = steps(parallel, 1)
        wait_for_workers(parallel)
        before = [weight.copy() for weight in parallel.models[0].get_weights()]
        parallel.begin_step()
        with pytest.raises(ValueError, match="class indices"):
            parallel.forward_backward(X, np.where(np.arange(EXAMPLES) == 2, 3, Y))
        parallel.restore_statistics()
        assert_equal([before], [parallel.models[0].get_weights()])
        with DataParallel(net(BatchNorm()), softmax_cross_entropy, 1) as alone:
            wanted = steps(alone, 1) + steps(alone, 1)
        assert_equal(first + steps(parallel, 1), wanted, rtol=1e-10, atol=1e-12)


class InterruptedExecutor(ThreadPoolExecutor):
    """Ctrl-C comes after the first shard that a thread computes was submitted."""

    def submit(self, *args, **kwargs):
        super().submit(*args, **kwargs)
        raise KeyboardInterrupt


def test_an_interrupt_between_two_shards_ends_those_that_wait():
    parallel = DataParallel(net(), weighted, 3, workers="threads")
    with InterruptedExecutor(2) as executor, parallel:
        parallel.pool = executor
        with pytest.raises(KeyboardInterrupt):
            parallel.forward_backward(X, Y)


class Unequal(Layer):
    """Asks for sums that depend on the shard."""

    batch_dependent = True

    def __init__(self, kind):
        self.kind = kind

    def forward(self, x):
        if self.training:
            more = len(x) % 2
            for _ in range(1 + more * (self.kind == "calls")):
                self.sum_over_batch(np.zeros(2 + more * (self.kind == "shapes")))
        return x.copy()

    def backward(self, dy):
        return dy.copy()


@pytest.mark.parametrize("kind", ["calls", "shapes"])
@pytest.mark.parametrize("examples", [3, 5])
def test_shards_that_ask_for_different_sums_are_refused(kind, examples):
    model = Sequential([Flatten(), Unequal(kind), Dense(3)]).build((6, 6, 2), rng=0).train()
    with (
        DataParallel(model, softmax_cross_entropy, 2, workers="threads") as parallel,
        pytest.raises(ValueError, match="`sum_over_batch` equally often, with arrays of equal shapes"),
    ):
        parallel.forward_backward(X[:examples], Y[:examples])


class Large(Layer):
    """Adds more values than are exchanged at a time."""

    def forward(self, x):
        many = self.sum_over_batch(np.full((3, sums.ROOM), len(x), np.float32))
        assert many.dtype == np.float32
        np.testing.assert_array_equal(many, EXAMPLES if self.training else len(x))
        assert self.sum_over_batch(np.zeros((0, 2))).shape == (0, 2)
        return x.copy()

    def backward(self, dy):
        return dy.copy()


def test_large_and_empty_arrays():
    with DataParallel(net(Large()), softmax_cross_entropy, 3, workers="threads") as parallel:
        parallel.forward_backward(X, Y)


@pytest.mark.parametrize(
    ("value", "total"),
    [(3, 3), (True, 1), (2.5, 2.5), ([1, 2], [1, 2]), (np.float32(1.5), 1.5), (np.arange(2), [0, 1])],
)
def test_in_one_place_the_sum_is_a_copy(value, total):
    found = sum_over_batch(value)
    np.testing.assert_array_equal(found, total)
    assert found is not value or isinstance(value, int | float)
    assert isinstance(found, np.ndarray) == (np.ndim(value) > 0)


@pytest.mark.parametrize("value", ["a", None, 1j, np.array(["x"])])
def test_only_real_numbers_are_added(value):
    with pytest.raises(TypeError, match="`array` must be an array of real numbers, got"):
        sum_over_batch(value)


def trained(workers, disturb, count, loss=weighted):
    """Return the steps of a training, and the number of workers that it has used."""
    seen = set()
    with DataParallel(net(BatchNorm(), Standardize(), Dropout(0.2)), loss, 2, workers=workers) as parallel:
        found = steps(parallel, 1)
        for k in range(count):
            wait_for_workers(parallel)
            seen |= {worker.process.pid for worker in parallel.worker_pool.workers.values()}
            disturb(k, parallel)
            seen |= {worker.process.pid for worker in parallel.worker_pool.workers.values()}
            found += steps(parallel, 2)
        assert parallel.worker_pool.pickled is not None or workers == "threads"
    return found, len(seen)


class Killer:
    """Kills the worker some time after each call, most often while one of the next two steps runs."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def __call__(self, k, parallel):
        three_steps(k, parallel)
        start = time.perf_counter()
        steps(parallel, 1)
        seconds = time.perf_counter() - start
        worker = parallel.worker_pool.workers[1]
        assert worker.ready
        threading.Timer(self.rng.uniform(0, 2.0 * seconds), worker.process.kill).start()


def three_steps(k, parallel):
    """Make so many steps that a worker that was killed is replaced."""
    for _ in range(3):
        steps(parallel, 1)
        wait_for_workers(parallel)


def assert_kills_change_nothing(kills, seed):
    found, processes = trained("processes", Killer(seed), kills)
    wanted, _ = trained("threads", lambda k, parallel: (three_steps(k, parallel), steps(parallel, 1)), kills)
    assert_equal(found, wanted)
    assert processes > kills // 2  # some come too late


def test_workers_that_are_killed_at_random_moments_change_nothing():
    assert_kills_change_nothing(3, 0)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(1, 11))
def test_hundreds_of_workers_that_are_killed_at_random_moments(seed):
    assert_kills_change_nothing(50, seed)


def test_a_worker_that_does_not_come_in_time_is_replaced(monkeypatch):
    monkeypatch.setattr(sharded_batch, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(sharded_batch, "PATIENCE_FACTOR", 0.0)

    def stop(k, parallel):
        parallel.worker_pool.workers[1].process.send_signal(signal.SIGSTOP)

    found, processes = trained("processes", stop, 1, softmax_cross_entropy)
    assert_equal(found, trained("threads", lambda *_: None, 1, softmax_cross_entropy)[0])
    assert processes == 1


def make_wrong(parent):
    class Wrong(Layer):
        """Adds another number in a worker. What follows is the same in all shards, and wrong."""

        def forward(self, x):
            factor = self.sum_over_batch(1.0 + (os.getpid() != parent)) if self.training else 1.0
            self.cache = factor
            return x * x.dtype.type(factor)

        def backward(self, dy):
            return dy * dy.dtype.type(self.cache)

    return Wrong()


def test_other_sums_in_a_worker_are_noticed():
    found = []
    for workers in ("auto", "threads"):
        with DataParallel(
            net(BatchNorm(), make_wrong(os.getpid())), softmax_cross_entropy, 2, workers=workers
        ) as parallel:
            first = steps(parallel, 1)
            wait_for_workers(parallel)
            found.append(first + steps(parallel, 1))
            if workers == "auto":
                with pytest.warns(UserWarning, match="computes other numbers in a worker"):
                    found[-1] += steps(parallel, 2)
            else:
                found[-1] += steps(parallel, 2)
    assert_equal(*found)
