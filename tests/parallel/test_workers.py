"""DataParallel that other processes compute: the same numbers, whatever becomes of these processes."""

import contextlib
import copy
import gc
import io
import os
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
    Adam,
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
from minicnn.parallel import data_parallel, pickling, workers
from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.pickling import pickled_model
from minicnn.parallel.shared_memory import share, shared_file
from minicnn.parallel.workers import Worker, main

EXAMPLES = 24
X = np.random.default_rng(0).integers(0, 255, (EXAMPLES, 8, 8, 1), dtype=np.uint8)
Y = np.arange(EXAMPLES) % 3


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", 1)


def make(dtype=np.float32, **options):
    layers = [Conv2D(4, 3), ReLU(), Pool2D(2), Flatten(), Dropout(0.5), Dense(3, **options)]
    return Sequential(layers).build((8, 8, 1), rng=0, dtype=dtype).train()


def wait_for(worker):
    assert worker.ready or worker.pipe.poll(60), "the worker has not come"


def step(parts, x=X, y=Y):
    """Return loss, predictions and gradients of a step."""
    loss, predictions = parts.forward_backward(x, y)
    return [np.float64(loss), predictions, *(parameter.grad.copy() for parameter in parts.parameters[0])]


def assert_same(these, those):
    for one, other in zip(these, those, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("count", [2, 3])
def test_helpers_compute_what_threads_compute_bit_for_bit(count, dtype):
    with DataParallel(make(dtype), softmax_cross_entropy, count) as threads:
        threads.pickled_model = None
        expected = [step(threads) for _ in range(4)]
        states = [[stream.bit_generator.state for stream in own] for own in threads.generators()]
    with DataParallel(make(dtype), softmax_cross_entropy, count) as parts:
        assert_same(step(parts), expected[0])  # they are not there yet
        for worker in parts.workers.values():
            wait_for(worker)
        for one in expected[1:]:
            assert_same(step(parts), one)
        assert all(worker.ready and not worker.closed for worker in parts.workers.values())
        assert [[stream.bit_generator.state for stream in own] for own in parts.generators()] == states


@pytest.fixture
def parts():
    with DataParallel(make(), softmax_cross_entropy, 2) as parts:
        step(parts)
        wait_for(parts.workers[1])
        yield parts


@pytest.fixture
def expected():
    with DataParallel(make(), softmax_cross_entropy, 2) as threads:
        threads.pickled_model = None
        step(threads)
        return [step(threads), step(threads)]


def test_a_helper_sees_weights_that_were_changed(parts):
    parts.models[0].set_weights([np.zeros_like(weight) for weight in parts.models[0].get_weights()])
    loss, predictions, *_ = step(parts)
    assert parts.workers[1].ready
    np.testing.assert_array_equal(predictions, 0)
    assert loss == pytest.approx(np.log(3))


@pytest.mark.parametrize(
    ("capacity", "first"), [(0, EXAMPLES), (1 << 16, 2)], ids=["predictions", "examples"]
)
def test_where_there_is_no_room_for_a_shard_another_way_is_found(monkeypatch, capacity, first):
    monkeypatch.setattr(data_parallel, "PREDICTION_BYTES", capacity)
    found = []
    for helped in (False, True):
        with DataParallel(make(), softmax_cross_entropy, 2) as parts:
            if not helped:
                parts.pickled_model = None
            results = step(parts, X[:first], Y[:first])
            for _ in range(3):
                if helped:
                    wait_for(parts.workers[1])
                results += [*step(parts), *step(parts, X[:2], Y[:2])]
            found.append(results)
    assert parts.workers[1].ready
    assert_same(*found)


def test_a_helper_that_is_killed_changes_nothing_and_another_takes_its_place(parts, expected):
    first = parts.workers[1]
    kill(first)
    assert_same(step(parts), expected[0])
    assert first.closed
    assert_same(step(parts), expected[1])
    wait_for(parts.workers[1])
    step(parts)
    assert parts.workers[1].ready
    assert not parts.workers[1].closed


def test_where_no_other_can_take_the_place_of_a_helper_threads_do(monkeypatch, parts, expected):
    kill(parts.workers[1])
    assert_same(step(parts), expected[0])

    def full(*_, **__):
        raise OSError("no more processes")

    monkeypatch.setattr(subprocess, "Popen", full)
    assert_same(step(parts), expected[1])
    assert parts.pickled_model is None


def kill(worker):
    worker.process.kill()
    worker.process.wait()


def test_a_helper_killed_while_it_computes_changes_nothing(parts, expected, monkeypatch):
    worker = parts.workers[1]
    submit = worker.submit

    def asked_and_killed(*shard):
        there = submit(*shard)
        kill(worker)
        return there

    worker.process.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(worker, "submit", asked_and_killed)
    assert_same(step(parts), expected[0])
    assert worker.closed


def test_an_exception_in_a_helper_is_raised_here_with_its_traceback(parts, expected):
    labels = Y.copy()
    labels[1] = 3  # in the second shard
    with pytest.raises(ValueError, match="3") as caught:
        parts.forward_backward(X, labels)
    names = [frame.name for frame in traceback.extract_tb(caught.tb)]
    assert "softmax_cross_entropy" in names
    assert not parts.workers[1].closed
    streams = [stream for own in parts.generators() for stream in own]
    for stream, fresh in zip(streams, [s for own in second_step_streams() for s in own], strict=True):
        stream.bit_generator.state = fresh
    assert_same(step(parts), expected[0])


def second_step_streams():
    with DataParallel(make(), softmax_cross_entropy, 2) as threads:
        threads.pickled_model = None
        step(threads)
        return [[stream.bit_generator.state for stream in own] for own in threads.generators()]


def test_an_answer_that_nobody_took_is_not_taken_for_another(parts, expected):
    first = parts.workers[1]
    assert first.submit(X[:2] + 1, Y[:2], 2)  # then comes Ctrl-C, before the answer
    assert_same(step(parts), expected[0])
    assert_same(step(parts), expected[1])
    assert first.closed
    assert parts.workers[1] is not first


def test_a_trainer_with_helpers_is_not_copied_and_its_pipe_stays_open():
    trainer = Trainer(make(), Adam(), threads=2)
    trainer.fit(X, Y, batch_size=EXAMPLES, verbose=0)
    wait_for(trainer._data_parallel.workers[1])
    with pytest.raises(TypeError):
        copy.deepcopy(trainer)
    gc.collect()
    trainer.fit(X, Y, batch_size=EXAMPLES, verbose=0)
    assert trainer._data_parallel.workers[1].ready


def test_the_order_of_x_in_memory_changes_nothing():
    found = []
    for message in (True, False):
        model = Sequential([ReLU(), GlobalAveragePool2D(), Dense(3)]).build((8, 9, 5), rng=0).train()
        x = np.random.default_rng(0).standard_normal((24, 5, 8, 9)).astype(np.float32).transpose(0, 2, 3, 1)
        with DataParallel(model, softmax_cross_entropy, 2) as parts:
            if not message:
                parts.pickled_model = None
            step(parts, x)
            if message:
                wait_for(parts.workers[1])
            found.append(step(parts, x))
    assert_same(*found)


class Number:
    def __float__(self):
        return 1.0


def test_objects_are_not_sent(parts):
    assert not parts.workers[1].submit(X, np.array([Number()] * EXAMPLES), EXAMPLES)
    assert not parts.workers[1].closed


def test_a_layer_with_a_replaced_method_is_not_sent(monkeypatch):
    forward = Dense.forward
    monkeypatch.setattr(Dense, "forward", lambda self, x: 2 * forward(self, x))
    model = make()
    assert pickled_model(model, model.parameters(), softmax_cross_entropy) is None


def test_another_package_of_this_name_is_not_asked(monkeypatch, expected):
    with DataParallel(make(), softmax_cross_entropy, 2) as parts:
        step(parts)
        wait_for(parts.workers[1])
        monkeypatch.setattr(workers, "_FILE", "/another/minicnn/parallel/workers.py")
        assert_same(step(parts), expected[0])
        assert parts.workers[1].closed
        assert_same(step(parts), expected[1])
        assert parts.pickled_model is None


def test_a_helper_has_no_helpers(monkeypatch):
    model = make()
    monkeypatch.setenv("MINICNN_WORKER", "1")
    assert pickled_model(model, model.parameters(), softmax_cross_entropy) is None


def test_a_death_that_the_pipe_does_not_tell_is_seen(parts, expected, monkeypatch):
    worker = parts.workers[1]
    submit = worker.submit

    def asked_and_killed(*shard):
        worker.process.send_signal(signal.SIGSTOP)
        there = submit(*shard)
        kill(worker)
        return there

    worker.ready = worker.pipe.recv() == workers._FILE
    monkeypatch.setattr(worker, "submit", asked_and_killed)
    monkeypatch.setattr(workers, "_arrives", lambda pipe, seconds: False)
    monkeypatch.setattr(worker, "pipe", Silent(worker.pipe))
    assert_same(step(parts), expected[0])
    assert worker.closed


class Silent:
    """A pipe whose other end somebody else holds open, too."""

    def __init__(self, pipe):
        self.pipe = pipe

    def poll(self, timeout=0.0):
        return False

    def send_bytes(self, message):
        self.pipe.send_bytes(message)

    def recv(self):
        raise AssertionError("this would wait for ever")


def test_a_helper_ends_with_its_trainer():
    trainer = Trainer(make(), Adam(), threads=2)
    trainer.fit(X, Y, batch_size=EXAMPLES, verbose=0)
    process = trainer._data_parallel.workers[1].process
    assert process.poll() is None
    del trainer
    assert process.poll() is not None


def test_a_helper_ends_when_its_process_is_killed():
    script = (
        "import time, numpy as np\n"
        "from minicnn import *\n"
        "from minicnn.parallel import data_parallel\n"
        "data_parallel.SMALLEST_SHARD = 1\n"
        "trainer = Trainer(Dense(2).build((3,)), Adam(), threads=2)\n"
        "trainer.fit(np.ones((4, 3)), np.zeros(4, int), verbose=0)\n"
        "worker = trainer._data_parallel.workers[1]\n"
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
def test_a_fork_of_the_process_leaves_the_helper_alone(parts, expected):
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        same = False
        try:
            parts.pool._shutdown = True  # its threads are not in the fork
            parts.pool = Immediately()
            assert_same(step(parts), expected[0])
            same = parts.workers[1].closed or not parts.workers[1].ready
        finally:
            os.write(writer, b"1" if same else b"0")
            os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 1) == b"1"
    os.close(reader), os.close(writer)
    assert_same(step(parts), expected[0])
    assert parts.workers[1].ready


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
    """A layer that is not the package's."""

    def forward(self, x):
        return 2 * super().forward(x)


def ours(shape, rng):
    return np.zeros(shape)


@pytest.mark.parametrize(
    ("layer", "loss"),
    [
        (Doubled(3), softmax_cross_entropy),
        (Dense(3, kernel_initializer=ours), softmax_cross_entropy),
        (Dense(3), lambda predictions, labels: softmax_cross_entropy(predictions, labels)),
    ],
    ids=["layer", "initializer", "loss"],
)
def test_what_is_not_of_the_package_runs_on_threads_on_larger_shards(layer, loss):
    model = Sequential([Flatten(), layer]).build((8, 8, 1), rng=0).train()
    with DataParallel(model, loss, 2) as parts:
        assert parts.pickled_model is None
        assert parts.smallest == 2
        step(parts)
        assert not parts.workers


def test_large_models_run_on_threads(monkeypatch):
    model = make()
    assert pickled_model(model, model.parameters(), softmax_cross_entropy)
    monkeypatch.setattr(pickling, "LARGEST_MODEL", 100)
    assert pickled_model(model, model.parameters(), softmax_cross_entropy) is None


@pytest.mark.parametrize("system", ["nt", "frozen", "embedded"])
def test_where_no_interpreter_can_be_started_there_are_threads(monkeypatch, system):
    if system == "nt":
        monkeypatch.setattr(workers.os, "name", "nt")
    elif system == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setattr(sys, "executable", "")
    model = make()
    assert pickled_model(model, model.parameters(), softmax_cross_entropy) is None


@pytest.mark.parametrize("executable", ["/does/not/exist", "/bin/false"])
def test_where_helpers_do_not_start_threads_compute_and_it_is_tried_once(monkeypatch, executable, expected):
    monkeypatch.setattr(sys, "executable", executable)
    with DataParallel(make(), softmax_cross_entropy, 2) as parts:
        step(parts)
        if parts.workers:
            parts.workers[1].process.wait()
        assert_same(step(parts), expected[0])
        assert_same(step(parts), expected[1])
        assert parts.pickled_model is None


@contextlib.contextmanager
def main_in_a_thread(model, **options):
    """`main` in this process, since what runs in others is seen by no debugger; yield its pipe and memory."""
    ours, theirs = Pipe()
    packed_model = io.BytesIO(pickled_model(model, model.parameters(), softmax_cross_entropy))
    with (
        ours,
        theirs,
        shared_file(model.parameters(), 1 << 16) as memory,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "stdin", io.TextIOWrapper(packed_model))
        arguments = os.dup(theirs.fileno()), memory
        thread = threading.Thread(None, main, "worker", arguments, options)
        thread.start()
        assert ours.poll(30)
        yield ours, memory
        theirs.close(), ours.close()
        thread.join(30)
        assert not thread.is_alive()


def test_a_helper_that_nobody_asks_ends():
    with main_in_a_thread(make(), idle=0.05) as (pipe, _):
        assert pipe.recv() == workers.__file__
        thread = next(one for one in threading.enumerate() if one.name == "worker")
        thread.join(30)
        assert not thread.is_alive()


def test_a_helper_computes_shards_and_says_when_it_fails_at_one():
    model = make()
    parameters = model.parameters()
    worker = Worker.__new__(Worker)  # without the process
    worker.parameters, worker.streams = parameters, model.generators()
    worker.owner, worker.ready, worker.closed, worker.pending = os.getpid(), False, False, False
    with main_in_a_thread(model) as (worker.pipe, memory):
        worker.sent, worker.arena = share(parameters, memory, values=False)
        assert worker.submit(X, Y, EXAMPLES)
        loss, predictions = worker.result()
        assert loss > 0
        assert predictions.shape == (EXAMPLES, 3)
        assert all(parameter.grad.any() for parameter in parameters)
        assert worker.submit(X, Y + 9, EXAMPLES)
        assert worker.result() is None
        assert not worker.closed
