"""Shards computed by workers: the same numbers, whatever happens to the processes."""

import contextlib
import copy
import gc
import io
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
import traceback
from multiprocessing.connection import Pipe

import numpy as np
import pytest

from minicnn import (
    SGD,
    Adam,
    Callback,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Pool2D,
    ReLU,
    Sequential,
    Trainer,
)
from minicnn.losses import softmax_cross_entropy
from minicnn.parallel import pickling, worker_pool, workers
from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.pickling import pickled_model
from minicnn.parallel.shared_memory import attach, shared_file, shared_size
from minicnn.parallel.sums import SumMemory
from minicnn.parallel.worker_main import main
from minicnn.parallel.workers import Worker

EXAMPLES = 24
X = np.random.default_rng(0).integers(0, 255, (EXAMPLES, 8, 8, 1), dtype=np.uint8)
Y = np.arange(EXAMPLES) % 3


def make(dtype=np.float32, **options):
    layers = [Conv2D(4, 3), ReLU(), Pool2D(2), Flatten(), Dropout(0.5), Dense(3, **options)]
    return Sequential(layers).build((8, 8, 1), rng=0, dtype=dtype).train()


def wait_for(worker):
    assert worker.ready or worker.pipe.poll(60), "the worker has not started"


def step(parallel, x=X, y=Y):
    """Return loss, predictions and gradients of a step."""
    loss, predictions = parallel.forward_backward(x, y)
    return [np.float64(loss), predictions, *(parameter.grad.copy() for parameter in parallel.parameters[0])]


def assert_same(these, those):
    for one, other in zip(these, those, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(
    ("count", "dtype"),
    [
        (2, np.float64),
        (3, np.float32),
        *(pytest.param(*case, marks=pytest.mark.ci) for case in ((2, np.float32), (3, np.float64))),
    ],
)
def test_workers_compute_what_threads_compute_bit_for_bit(count, dtype):
    with DataParallel(make(dtype), softmax_cross_entropy, count, workers="threads") as threads:
        expected = [step(threads) for _ in range(4)]
        states = [[stream.bit_generator.state for stream in own] for own in threads.generators()]
    with DataParallel(make(dtype), softmax_cross_entropy, count) as parallel:
        assert_same(step(parallel), expected[0])  # by threads, while the workers start
        for worker in parallel.worker_pool.workers.values():
            wait_for(worker)
        for one in expected[1:]:
            assert_same(step(parallel), one)
        assert all(worker.ready and not worker.closed for worker in parallel.worker_pool.workers.values())
        assert [[stream.bit_generator.state for stream in own] for own in parallel.generators()] == states


@pytest.fixture
def parallel():
    with DataParallel(make(), softmax_cross_entropy, 2) as parallel:
        step(parallel)
        wait_for(parallel.worker_pool.workers[1])
        yield parallel


@pytest.fixture
def expected():
    with DataParallel(make(), softmax_cross_entropy, 2, workers="threads") as threads:
        step(threads)
        return [step(threads), step(threads)]


def test_a_worker_gets_changed_weights(parallel):
    parallel.models[0].set_weights([np.zeros_like(weight) for weight in parallel.models[0].get_weights()])
    loss, predictions, *_ = step(parallel)
    assert parallel.worker_pool.workers[1].ready
    np.testing.assert_array_equal(predictions, 0)
    assert loss == pytest.approx(np.log(3))


@pytest.mark.parametrize(
    ("capacity", "first"), [(0, EXAMPLES), (1 << 16, 2)], ids=["predictions", "examples"]
)
def test_a_shard_that_exceeds_the_capacity_gives_the_same_numbers(monkeypatch, capacity, first):
    monkeypatch.setattr(worker_pool, "PREDICTION_BYTES", capacity)
    found = []
    for with_workers in (False, True):
        with DataParallel(make(), softmax_cross_entropy, 2) as parallel:
            if not with_workers:
                parallel.worker_pool.pickled = None
            results = step(parallel, X[:first], Y[:first])
            for _ in range(3):
                if with_workers:
                    wait_for(parallel.worker_pool.workers[1])
                results += [*step(parallel), *step(parallel, X[:2], Y[:2])]
            found.append(results)
    assert parallel.worker_pool.workers[1].ready
    assert_same(*found)


def test_a_killed_worker_changes_nothing_and_is_replaced(parallel, expected):
    first = parallel.worker_pool.workers[1]
    kill(first)
    assert_same(step(parallel), expected[0])
    assert first.closed
    assert_same(step(parallel), expected[1])
    wait_for(parallel.worker_pool.workers[1])
    step(parallel)
    assert parallel.worker_pool.workers[1].ready
    assert not parallel.worker_pool.workers[1].closed


def test_threads_compute_where_a_worker_cannot_be_replaced(monkeypatch, parallel, expected):
    kill(parallel.worker_pool.workers[1])
    assert_same(step(parallel), expected[0])

    def full(*_, **__):
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", full)
    assert_same(step(parallel), expected[1])
    assert parallel.worker_pool.pickled is None


def kill(worker):
    worker.process.kill()
    worker.process.wait()


def test_a_worker_killed_while_it_computes_changes_nothing(parallel, expected, monkeypatch):
    worker = parallel.worker_pool.workers[1]
    submit = worker.submit

    def submit_and_kill(*shard):
        submitted = submit(*shard)
        kill(worker)
        return submitted

    worker.process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(worker, "submit", submit_and_kill)
    assert_same(step(parallel), expected[0])
    assert worker.closed


def test_an_exception_in_a_worker_is_raised_here_with_its_traceback(parallel, expected):
    labels = Y.copy()
    labels[1] = 3  # in the second shard
    with pytest.raises(ValueError, match="3") as caught:
        parallel.forward_backward(X, labels)
    names = [frame.name for frame in traceback.extract_tb(caught.tb)]
    assert "softmax_cross_entropy" in names
    assert not parallel.worker_pool.workers[1].closed
    streams = [stream for own in parallel.generators() for stream in own]
    for stream, fresh in zip(streams, [s for own in second_step_streams() for s in own], strict=True):
        stream.bit_generator.state = fresh
    assert_same(step(parallel), expected[0])


def second_step_streams():
    with DataParallel(make(), softmax_cross_entropy, 2, workers="threads") as threads:
        step(threads)
        return [[stream.bit_generator.state for stream in own] for own in threads.generators()]


def test_a_result_that_was_not_fetched_is_not_taken_for_the_next(parallel, expected):
    first = parallel.worker_pool.workers[1]
    assert first.submit(X[:2] + 1, Y[:2], 2)  # then Ctrl-C comes before the result
    assert_same(step(parallel), expected[0])
    assert_same(step(parallel), expected[1])
    assert first.closed
    assert parallel.worker_pool.workers[1] is not first


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda trainer: pickle.loads(pickle.dumps(trainer))])
def test_a_copy_of_a_trainer_has_workers_of_its_own_and_goes_on_as_the_trainer(copied):
    trainer = Trainer(make(), Adam(), threads=2)
    trainer.fit(X, Y, batch_size=EXAMPLES, verbose=0)
    wait_for(trainer._data_parallel.worker_pool.workers[1])
    twin = copied(trainer)
    gc.collect()
    assert not twin._data_parallel.worker_pool.workers
    losses = [each.fit(X, Y, 2, batch_size=EXAMPLES, verbose=0).history["loss"] for each in (trainer, twin)]
    assert losses[0] == losses[1]
    assert_same(trainer.model.get_weights(), twin.model.get_weights())
    assert trainer._data_parallel.worker_pool.workers[1].ready
    wait_for(twin._data_parallel.worker_pool.workers[1])


def test_a_copy_that_is_made_during_a_fit_is_a_trainer_at_rest():
    class Copies(Callback):
        twins = ()

        def on_batch_end(self, step, logs):
            if self.state.optimizer.steps == 2:
                self.twins = copy.deepcopy(self.trainer), pickle.loads(pickle.dumps(self.trainer))
                self.weights = self.state.model.get_weights()

    hook = Copies()
    hook.trainer = trainer = Trainer(make(), Adam(), threads=2)
    trainer.fit(X, Y, 3, batch_size=EXAMPLES, callbacks=[hook], verbose=0)
    for twin in hook.twins:
        assert_same(twin.model.get_weights(), hook.weights)
        with pytest.raises(RuntimeError, match="only during `fit`"):
            twin.named_parameters()
        twin.fit(X, Y, batch_size=EXAMPLES, verbose=0)


def test_the_memory_layout_of_x_changes_nothing():
    found = []
    for with_workers in (True, False):
        model = Sequential([ReLU(), GlobalAveragePool2D(), Dense(3)]).build((8, 9, 5), rng=0).train()
        x = np.random.default_rng(0).standard_normal((24, 5, 8, 9)).astype(np.float32).transpose(0, 2, 3, 1)
        with DataParallel(model, softmax_cross_entropy, 2) as parallel:
            if not with_workers:
                parallel.worker_pool.pickled = None
            step(parallel, x)
            if with_workers:
                wait_for(parallel.worker_pool.workers[1])
            found.append(step(parallel, x))
    assert_same(*found)


class Number:
    def __float__(self):
        return 1.0


def test_objects_are_not_sent(parallel):
    assert not parallel.worker_pool.workers[1].submit(X, np.array([Number()] * EXAMPLES), EXAMPLES)
    assert not parallel.worker_pool.workers[1].closed


def test_a_layer_with_a_replaced_method_is_not_sent(monkeypatch):
    forward = Dense.forward
    monkeypatch.setattr(Dense, "forward", lambda self, x: 2 * forward(self, x))
    model = make()
    with pytest.raises(pickle.PicklingError, match=r"layers\.5 \(Dense\) cannot be sent .* was replaced"):
        pickled_model(model, softmax_cross_entropy)


def test_a_worker_with_another_minicnn_is_not_used(monkeypatch, expected):
    with DataParallel(make(), softmax_cross_entropy, 2) as parallel:
        step(parallel)
        wait_for(parallel.worker_pool.workers[1])
        monkeypatch.setattr(workers, "PACKAGE_FILE", "/another/minicnn/parallel/workers.py")
        assert_same(step(parallel), expected[0])
        assert parallel.worker_pool.workers[1].closed
        assert_same(step(parallel), expected[1])
        assert parallel.worker_pool.pickled is None


def test_a_worker_has_no_workers(monkeypatch):
    model = make()
    monkeypatch.setenv("MINICNN_WORKER", "1")
    assert DataParallel(model, softmax_cross_entropy, 2).worker_pool.pickled is None


def test_a_death_that_the_pipe_does_not_report_is_noticed(parallel, expected, monkeypatch):
    worker = parallel.worker_pool.workers[1]
    submit = worker.submit

    def submit_and_kill(*shard):
        worker.process.send_signal(signal.SIGSTOP)
        submitted = submit(*shard)
        kill(worker)
        return submitted

    worker.ready = worker.pipe.recv() == workers.PACKAGE_FILE
    monkeypatch.setattr(worker, "submit", submit_and_kill)
    monkeypatch.setattr(workers, "wait_for_message", lambda pipe, seconds: False)
    monkeypatch.setattr(worker, "pipe", Silent(worker.pipe))
    assert_same(step(parallel), expected[0])
    assert worker.closed


class Silent:
    """A pipe whose other end another process holds open, too."""

    def __init__(self, pipe):
        self.pipe = pipe

    def poll(self, timeout=0.0):
        return False

    def send_bytes(self, message):
        self.pipe.send_bytes(message)

    def recv(self):
        raise AssertionError("this would block for ever")


def test_a_worker_ends_with_its_trainer():
    trainer = Trainer(make(), Adam(), threads=2)
    trainer.fit(X, Y, batch_size=EXAMPLES, verbose=0)
    process = trainer._data_parallel.worker_pool.workers[1].process
    assert process.poll() is None
    del trainer
    assert process.poll() is not None


def test_a_worker_ends_when_the_training_process_is_killed():
    script = (
        "import time, numpy as np\n"
        "from minicnn import *\n"
        "from minicnn.parallel import data_parallel\n"
        "data_parallel.SMALLEST_SHARD = 1\n"
        "trainer = Trainer(Dense(2).build((3,)), Adam(), threads=2)\n"
        "trainer.fit(np.ones((4, 3)), np.zeros(4, int), verbose=0)\n"
        "worker = trainer._data_parallel.worker_pool.workers[1]\n"
        "assert worker.pipe.poll(60)\n"
        "print(worker.process.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        worker = int(process.stdout.readline())
        process.kill()
    until = time.monotonic() + 30
    while runs(worker):
        assert time.monotonic() < until, "the worker still runs"
        time.sleep(0.01)


def runs(process):
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of a process with threads
def test_a_fork_does_not_use_the_worker_of_its_parent(parallel, expected):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        same = False
        try:
            parallel.pool._shutdown = True  # its threads are not in the fork
            parallel.pool = Immediately()
            assert_same(step(parallel), expected[0])
            same = parallel.worker_pool.workers[1].closed or not parallel.worker_pool.workers[1].ready
        finally:
            os.write(writer, b"1" if same else b"0")
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"1"
    os.close(reader), os.close(writer)
    assert_same(step(parallel), expected[0])
    assert parallel.worker_pool.workers[1].ready


class Immediately:
    """A pool of no threads."""

    def submit(self, function, *arguments):
        from concurrent.futures import Future

        future = Future()
        future.set_result(function(*arguments))
        return future

    def shutdown(self):
        pass


class Doubled(Dense):
    """A user's layer."""

    def forward(self, x):
        return 2 * super().forward(x)


def make_locked_loss():
    lock = threading.Lock()

    def loss(predictions, labels):
        with lock:
            return softmax_cross_entropy(predictions, labels)

    return loss


class Locked(Doubled):
    """A layer with a lock of its own, of which each replica makes another."""

    def __init__(self, units):
        super().__init__(units)
        self.lock = threading.Lock()

    def __deepcopy__(self, memo):
        twin = Locked.__new__(Locked)
        memo[id(self)] = twin
        vars(twin).update(copy.deepcopy(self.__getstate__() | {"lock": None}, memo))
        twin.lock = threading.Lock()
        return twin


@pytest.mark.parametrize(
    ("layer", "loss", "reason"),
    [
        (Locked(3), softmax_cross_entropy, r"layers\.1 \(Locked\) .* cannot pickle '_thread\.lock'"),
        (Dense(3), make_locked_loss(), "the loss .* cannot pickle '_thread.lock'"),
    ],
    ids=["layer", "loss"],
)
def test_what_cannot_be_sent_runs_on_threads_with_larger_shards(layer, loss, reason):
    model = Sequential([Flatten(), layer]).build((8, 8, 1), rng=0).train()
    with DataParallel(model, loss, 2) as parallel:
        assert parallel.worker_pool.pickled is None
        assert parallel.smallest_shard == 2
        with pytest.warns(UserWarning, match=f"training on threads, .*{reason}.*workers='threads'"):
            step(parallel)
        step(parallel)  # no second warning
        assert not parallel.worker_pool.workers
    with DataParallel(model, loss, 2, workers="threads") as parallel:
        step(parallel)
        assert parallel.smallest_shard == 2
    with pytest.raises(ValueError, match=f"`workers` must be 'auto' or 'threads' for this model: {reason}"):
        DataParallel(model, loss, 2, workers="processes")


def test_large_models_run_on_threads(monkeypatch):
    model = make()
    assert DataParallel(model, softmax_cross_entropy, 2).worker_pool.pickled
    monkeypatch.setattr(pickling, "LARGEST_MODEL", 100)
    assert DataParallel(model, softmax_cross_entropy, 2).worker_pool.pickled is None
    assert DataParallel(model, softmax_cross_entropy, 2, workers="processes").worker_pool.pickled


@pytest.mark.parametrize("system", ["nt", "frozen", "embedded"])
def test_threads_compute_where_no_interpreter_can_be_started(monkeypatch, system):
    model = make()
    with monkeypatch.context() as patch:
        if system == "nt":
            patch.setattr(workers.os, "name", "nt")
        elif system == "frozen":
            patch.setattr(sys, "frozen", True, raising=False)
        else:
            patch.setattr(sys, "executable", "")
        possible = DataParallel(model, softmax_cross_entropy, 2).worker_pool.pickled is not None
    assert not possible


@pytest.mark.parametrize("executable", ["/does/not/exist", "/bin/false"])
def test_a_worker_that_does_not_start_is_tried_once(monkeypatch, executable, expected):
    monkeypatch.setattr(sys, "executable", executable)
    with DataParallel(make(), softmax_cross_entropy, 2) as parallel:
        step(parallel)
        if parallel.worker_pool.workers:
            parallel.worker_pool.workers[1].process.wait()
        assert_same(step(parallel), expected[0])
        assert_same(step(parallel), expected[1])
        assert parallel.worker_pool.pickled is None


@pytest.mark.parametrize("kills", [3, 4])
def test_a_worker_that_is_killed_while_it_starts_is_replaced(kills, expected):
    with DataParallel(make(), softmax_cross_entropy, 2) as parallel:
        step(parallel)
        for _ in range(kills):
            states = generator_states(parallel)
            kill(parallel.worker_pool.workers[1])
            step(parallel)  # notices it
            step(parallel)  # starts another
            restore(parallel, states)
        if kills == 3:
            wait_for(parallel.worker_pool.workers[1])
        assert_same(step(parallel), expected[0])
        assert_same(step(parallel), expected[1])
        assert (parallel.worker_pool.pickled is None) == (kills == 4)


def generator_states(parallel):
    return [stream.bit_generator.state for own in parallel.generators() for stream in own]


def restore(parallel, states):
    streams = [stream for own in parallel.generators() for stream in own]
    for stream, state in zip(streams, states, strict=True):
        stream.bit_generator.state = state


@contextlib.contextmanager
def main_in_a_thread(model, **options):
    """Run `main` in this process, where a debugger sees it; yield its pipe and memory."""
    pipe, worker_pipe = Pipe()
    packed = pickled_model(model, softmax_cross_entropy)
    packed_model = io.BytesIO(packed.model + packed.loss)
    with (
        pipe,
        worker_pipe,
        shared_file(shared_size(model.parameters(), 1 << 16)) as file,
        shared_file(SumMemory.size(2)) as sums,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stdin", io.TextIOWrapper(packed_model))
        arguments = os.dup(worker_pipe.fileno()), file.fileno(), sums.fileno()
        thread = threading.Thread(None, main, "worker", arguments, options)
        thread.start()
        assert pipe.poll(30)
        yield pipe, file.fileno()
        worker_pipe.close(), pipe.close()
        thread.join(30)
        assert not thread.is_alive()


def test_an_idle_worker_ends():
    with main_in_a_thread(make(), idle_timeout=0.05) as (pipe, _):
        assert pipe.recv() == workers.__file__
        thread = next(thread for thread in threading.enumerate() if thread.name == "worker")
        thread.join(30)
        assert not thread.is_alive()


def test_a_worker_computes_shards_and_reports_a_failure():
    model = make()
    parameters = model.parameters()
    worker = Worker.__new__(Worker)  # without the process
    worker.parameters, worker.generators = parameters, model.generators()
    worker.error = ""
    worker.owner, worker.ready, worker.closed, worker.pending = os.getpid(), False, False, False
    with main_in_a_thread(model) as (worker.pipe, memory):
        worker.shared_values, worker.arena = attach(parameters, memory, values=False)
        assert worker.submit(X, Y, EXAMPLES)
        loss, predictions = worker.result()
        assert loss > 0
        assert predictions.shape == (EXAMPLES, 3)
        assert all(parameter.grad.any() for parameter in parameters)
        assert worker.submit(X, Y + 9, EXAMPLES)
        assert worker.result() is None
        assert not worker.closed


def test_there_are_not_more_workers_than_cores_and_the_same_numbers(monkeypatch):
    x, y = np.random.default_rng(1).normal(size=(64, 4000)).astype(np.float32), np.arange(64) % 3
    weights = []
    for cores in (3, 1):
        monkeypatch.setattr(worker_pool, "available_threads", lambda cores=cores: cores)
        trainer = Trainer(Sequential([Dense(3)]).build((4000,), rng=0), SGD(1e-3), threads=4)

        class Wait(Callback):
            def on_batch_end(self, step, logs, workers=trainer._data_parallel.worker_pool.workers):
                self.most = len(workers)

        counted = Wait()
        trainer.fit(x, y, 2, 64, callbacks=[counted], verbose=0)
        assert counted.most <= cores
        weights.append(trainer.model.get_weights()[0])
    np.testing.assert_array_equal(*weights)
