"""Layers and losses of the user in workers: the numbers of threads, whatever the code does."""

import functools
import importlib.util
import os
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from minicnn import SGD, Callback, Dense, Dropout, Flatten, Layer, Parameter, ReLU, Sequential, Trainer
from minicnn.losses import mean_squared_error, softmax_cross_entropy
from minicnn.parallel import user_pickling
from minicnn.parallel.data_parallel import DataParallel

X = np.random.default_rng(0).random((24, 6, 6, 1), np.float32)
Y = np.arange(24) % 3


def fit_twice(layer, loss, workers, *, callbacks=(), between=lambda: None):
    """Return the trainer after two fits of several epochs; in the second one, its worker has started."""
    model = Sequential([Flatten(), Dense(5), layer, Dropout(0.3), Dense(3)]).build((6, 6, 1), rng=0)
    trainer = Trainer(model, SGD(0.1), loss, threads=2, workers=workers, callbacks=callbacks)
    trainer.fit(X, Y, epochs=2, batch_size=8)
    for worker in trainer._data_parallel.worker_pool.workers.values():
        assert worker.ready or worker.closed or worker.pipe.poll(60)
    between()
    trainer.fit(X, Y, epochs=3, batch_size=8)
    return trainer


def assert_same_numbers(make_layer, make_loss, **options):
    """Check that workers compute the weights that threads compute, bit for bit."""
    found = []
    for workers in ("auto", "threads"):
        trainer = fit_twice(make_layer(), make_loss(), workers, **options)
        used = trainer._data_parallel.worker_pool.workers.values()
        assert all(worker.ready and worker.verified and not worker.closed for worker in used)
        assert len(used) == (workers == "auto")
        found.append(trainer.model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


class Times(Layer):
    """A layer with a weight, a setting, and something kept for backward."""

    def __init__(self, factor=1.5):
        self.factor = factor

    def init_params(self, input_shape, rng):
        self.weight = Parameter(np.ones(input_shape))

    def forward(self, x):
        self.cache = x
        return x * self.weight.value * self.factor

    def backward(self, dy):
        self.weight.add_grad((dy * self.cache).sum(axis=0) * self.factor)
        return dy * self.weight.value * self.factor


class Counts(Times):
    """Keeps the number of its calls, and its last input, outside the cache."""

    calls = 0

    def forward(self, x):
        self.calls += self.training
        self.last = x
        return super().forward(x) / (1 + 0.1 * self.calls)

    def backward(self, dy):
        return super().backward(dy) / (1 + 0.1 * self.calls)


class Noisy(Times):
    """Has a generator of the old kind, which `Layer.generators` does not find."""

    def __init__(self):
        super().__init__()
        self.random = np.random.RandomState(0)

    def forward(self, x):
        noise = self.random.random_sample(x.shape) if self.training else 0
        return super().forward(x) + np.float32(noise)


def closure(factor=2.0):
    def loss(predictions, labels):
        value, dpredictions = softmax_cross_entropy(predictions, labels)
        return value * factor, dpredictions * np.float32(factor)

    return loss


class Weighted:
    """A loss with a setting."""

    def __init__(self, factor=2.0):
        self.factor = factor

    def __call__(self, predictions, labels):
        value, dpredictions = softmax_cross_entropy(predictions, labels)
        return value * self.factor, dpredictions * np.float32(self.factor)

    def bound(self, predictions, labels):
        return self(predictions, labels)


LOSSES = {
    "lambda": lambda: lambda predictions, labels: softmax_cross_entropy(predictions, labels),
    "closure": closure,
    "object": Weighted,
    "method": lambda: Weighted().bound,
    "partial": lambda: functools.partial(Weighted.bound, Weighted()),
}


# By default each layer and each loss once, since the two are pickled apart; all pairs in a campaign.
PAIRS = [
    pytest.param(make_layer, kind, marks=() if (i - j) % 4 == 0 else pytest.mark.campaign)
    for i, kind in enumerate(LOSSES)
    for j, make_layer in enumerate([Times, Counts, Noisy, ReLU])
]


@pytest.mark.parametrize(("make_layer", "kind"), PAIRS)
def test_workers_compute_what_threads_compute(make_layer, kind):
    assert_same_numbers(make_layer, LOSSES[kind])


def test_local_classes_and_what_they_inherit():
    def make():
        class Base(Times):
            def forward(self, x):
                return super().forward(x) * np.float32(0.5)

            def backward(self, dy):
                return super().backward(dy) * np.float32(0.5)

        class Local(Base):
            pass

        return Local()

    assert_same_numbers(make, closure)


SCALE = 1.0


def make_changing(kind):
    """Return a loss with a factor, and a function that changes the factor."""
    factors = [1.0]
    weighted = Weighted(1.0)
    factor = 1.0

    def change(step):
        global SCALE
        nonlocal factor
        factors[0] = weighted.factor = SCALE = factor = 1.0 + step

    def use_global():
        return SCALE

    chosen = {
        "global": use_global,
        "list": lambda: factors[0],
        "cell": lambda: factor,
        "object": lambda: weighted.factor,
    }.get(kind)

    def loss(predictions, labels):
        value, dpredictions = softmax_cross_entropy(predictions, labels)
        return value * chosen(), dpredictions * np.float32(chosen())

    loss = {"method": weighted.bound, "instance": weighted}.get(kind, loss)
    change(0)
    return loss, change


class ChangeLoss(Callback):
    """Changes the loss before every batch."""

    def __init__(self, change):
        self.change = change

    def on_batch_begin(self, step):
        self.change(step)


@pytest.mark.parametrize(
    "kind",
    [
        "global",
        "list",
        "object",
        *(pytest.param(k, marks=pytest.mark.ci) for k in ("cell", "method", "instance")),
    ],
)
def test_a_loss_that_changes_between_batches(kind):
    loss, change = make_changing(kind)
    assert_same_numbers(Times, lambda: loss, callbacks=[ChangeLoss(change)])


def test_a_class_that_changes_while_its_worker_starts_and_later():
    def make():
        class Changing(Times):
            slope = 1.0

            def forward(self, x):
                return super().forward(x) * np.float32(self.slope)

        return Changing()

    class ChangeClass(Callback):
        def on_epoch_begin(self, epoch):
            cls = type(self.state.model.layers[2])
            cls.slope = 1.0 + epoch
            if epoch == 1:
                cls.backward = lambda self, dy: Times.backward(self, dy) * np.float32(self.slope)

    assert_same_numbers(make, closure, callbacks=[ChangeClass()])


def load(path, name):
    """Import a file as a module, under a name by which a worker cannot find it."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SOURCE = """
from minicnn import Layer
FACTOR = 0.5
class Half(Layer):
    def forward(self, x):
        return x * FACTOR
    def backward(self, dy):
        return dy * FACTOR
"""


@pytest.fixture
def module_path(tmp_path, monkeypatch):
    path = tmp_path / "minicnn_users_module.py"
    path.write_text(SOURCE)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    user_pickling._finds.cache_clear()
    yield path
    sys.modules.pop(path.stem, None)
    user_pickling._finds.cache_clear()


def test_a_module_that_a_worker_finds_is_imported_there(module_path, monkeypatch):
    monkeypatch.syspath_prepend(module_path.parent)
    half = importlib.import_module(module_path.stem)
    model = Sequential([half.Half()]).build((3,))
    assert b"FACTOR" not in DataParallel(model, softmax_cross_entropy, 2).worker_pool.pickled.model
    assert_same_numbers(half.Half, closure)


def test_a_module_that_a_worker_does_not_find_is_sent(module_path):
    half = load(module_path, module_path.stem)
    model = Sequential([half.Half()]).build((3,))
    assert b"FACTOR" in DataParallel(model, softmax_cross_entropy, 2).worker_pool.pickled.model

    def make():
        half.FACTOR = 0.5
        return half.Half()

    assert_same_numbers(make, closure, between=lambda: setattr(half, "FACTOR", 0.25))


def assert_threads_with_warning(make_layer, make_loss, match, **options):
    """Check that threads compute in the end, with the right numbers, and that there is one warning."""
    with pytest.warns(UserWarning, match=match) as caught:
        trainer = fit_twice(make_layer(), make_loss(), "auto", **options)
    assert len(caught) == 1
    assert trainer._data_parallel.worker_pool.pickled is None
    expected = fit_twice(make_layer(), make_loss(), "threads", **options)
    for one, other in zip(trainer.model.get_weights(), expected.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("change", ["global", "file"])
def test_a_module_that_is_another_in_the_worker_is_noticed(module_path, monkeypatch, change):
    monkeypatch.syspath_prepend(module_path.parent)
    half = importlib.import_module(module_path.stem)
    if change == "global":
        half.FACTOR = 0.25
    else:
        module_path.write_text(SOURCE.replace("0.5", "0.75"))
    assert_threads_with_warning(half.Half, closure, "computes other numbers in a worker")


def test_a_module_that_fails_in_the_worker_is_noticed(module_path, monkeypatch):
    monkeypatch.syspath_prepend(module_path.parent)
    half = importlib.import_module(module_path.stem)
    module_path.write_text("raise ImportError('only here')")
    assert_threads_with_warning(half.Half, closure, "ImportError: only here")


def test_code_that_fails_in_the_worker_only_is_noticed():
    parent = os.getpid()

    def make():
        def loss(predictions, labels):
            if os.getpid() != parent:
                raise RuntimeError("not at home")
            return softmax_cross_entropy(predictions, labels)

        return loss

    assert_threads_with_warning(Times, make, "RuntimeError: not at home")


class Draws(Layer):
    """Takes random numbers from elsewhere."""

    def forward(self, x):
        return x + np.random.random(x.shape).astype(np.float32)  # noqa: NPY002

    def backward(self, dy):
        return dy


def test_random_numbers_from_elsewhere_are_noticed():
    with pytest.warns(UserWarning, match=r"other numbers in a worker|global stream") as caught:
        fit_twice(Draws(), closure(), "auto")
    other, stream = sorted(str(each.message) for each in caught)
    assert "computes other numbers in a worker" in other + stream
    assert "the model or the loss draws from the global stream of np.random" in other + stream


def test_a_loss_that_uses_the_weights_runs_on_threads():
    for share in (lambda model: model, lambda model: model.layers[4].kernel.value):
        model = Sequential([Flatten(), Dense(5), ReLU(), ReLU(), Dense(3)]).build((6, 6, 1), rng=0)
        shared = share(model)

        def loss(predictions, labels, shared=shared):
            kernel = shared if isinstance(shared, np.ndarray) else shared.layers[4].kernel.value
            value, dpredictions = softmax_cross_entropy(predictions, labels)
            return value + np.square(kernel).sum(), dpredictions

        trainer = Trainer(model, SGD(0.1), loss, threads=2)
        with pytest.warns(UserWarning, match="the loss cannot be sent to a worker: it uses weights"):
            trainer.fit(X, Y)


class Makes(Times):
    """Makes something in its first forward that cannot be sent."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind

    def forward(self, x):
        if self.training and not hasattr(self, "made"):
            self.made = UNSENDABLE[self.kind]()
        return super().forward(x)


UNSENDABLE = {
    "lock": threading.Lock,
    "file": lambda: sys.__stdout__,
    "generator": lambda: (i for i in range(3)),
}


@pytest.mark.parametrize("kind", UNSENDABLE)
def test_a_layer_that_makes_what_cannot_be_sent_while_it_trains(kind):
    x, y = np.ones((6, 3), np.float32), np.zeros(6, int)
    model = Sequential([Makes(kind)]).build((3,)).train()
    with DataParallel(model, softmax_cross_entropy, 2) as parallel:
        results = [parallel.forward_backward(x, y)[0]]
        worker = parallel.worker_pool.workers[1]
        assert worker.pipe.poll(60)
        with pytest.warns(UserWarning, match=r"layers\.0 \(Makes\) cannot be sent to a worker: .*"):
            results += [parallel.forward_backward(x, y)[0] for _ in range(2)]
        parallel.sync_replicas()
        assert results == [results[0]] * 3
        assert worker.closed


def test_a_pickle_has_a_limit(monkeypatch):
    monkeypatch.setattr(user_pickling, "LARGEST_PICKLE", 1 << 20)
    data = np.zeros(1 << 18)

    def loss(predictions, labels):
        return softmax_cross_entropy(predictions + data[0], labels)

    model = Sequential([Flatten(), Dense(3)]).build((6, 6, 1), rng=0)
    with pytest.raises(ValueError, match=r"the loss .*: its attributes and globals exceed 1 MiB"):
        Trainer(model, SGD(0.1), loss, threads=2, workers="processes")


def test_a_killed_worker_with_the_users_code_changes_nothing():
    found = []
    for workers in ("auto", "threads"):
        model = Sequential([Flatten(), Times(), Dropout(0.3), Dense(3)]).build((6, 6, 1), rng=0)
        trainer = Trainer(model, SGD(0.1), closure(), threads=2, workers=workers)
        used = trainer._data_parallel.worker_pool.workers
        for _ in range(3):
            trainer.fit(X, Y, epochs=2, batch_size=8)
            assert all(worker.closed or worker.ready or worker.pipe.poll(60) for worker in used.values())
            trainer.fit(X, Y, epochs=2, batch_size=8)
            for worker in used.values():
                worker.process.kill()
                worker.process.wait()
        found.append(model.get_weights())
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_workers_must_be_a_known_word():
    model = Sequential([Flatten(), Dense(3)]).build((6, 6, 1), rng=0)
    with pytest.raises(ValueError, match="`workers` must be 'auto', 'processes' or 'threads', got 'fork'"):
        Trainer(model, SGD(0.1), workers="fork")


SCRIPT = """
import numpy as np
from minicnn import *
from minicnn.losses import softmax_cross_entropy
from minicnn.parallel import data_parallel

data_parallel.SMALLEST_SHARD = 1
SLOPE = 0.1

class Leaky(Layer):
    def forward(self, x):
        self.cache = x
        return np.where(x > 0, x, x * np.float32(SLOPE))
    def backward(self, dy):
        return np.where(self.cache > 0, dy, dy * np.float32(SLOPE))

print("the script runs")
x, y = np.random.default_rng(0).random((24, 6, 6, 1), np.float32), np.arange(24) % 3
found = []
for workers in ("auto", "threads"):
    SLOPE = 0.1
    model = Sequential([Flatten(), Dense(5), Leaky(), Dense(3)]).build((6, 6, 1), rng=0)
    loss = lambda p, labels: softmax_cross_entropy(p, labels)
    trainer = Trainer(model, SGD(0.1), loss, threads=2, workers=workers)
    trainer.fit(x, y, epochs=2, verbose=0)
    for worker in trainer._data_parallel.worker_pool.workers.values():
        assert worker.pipe.poll(60)
    trainer.fit(x, y, epochs=2, verbose=0)
    SLOPE = 0.3
    trainer.fit(x, y, epochs=2, verbose=0)
    used = trainer._data_parallel.worker_pool.workers.values()
    found.append((b"".join(w.tobytes() for w in model.get_weights())))
    print([worker.ready and worker.verified and not worker.closed for worker in used])
print(found[0] == found[1])
"""
OUTPUT = "the script runs\n[True]\n[]\nTrue\n"


@pytest.mark.parametrize(
    "way",
    ["file", pytest.param("module", marks=pytest.mark.ci), "stdin", pytest.param("-c", marks=pytest.mark.ci)],
)
def test_a_script_without_a_main_guard_is_not_run_again(tmp_path, way):
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    arguments = {"file": [path], "module": ["-m", "script"], "stdin": [], "-c": ["-c", SCRIPT]}[way]
    result = subprocess.run(
        [sys.executable, "-Werror", *arguments],
        input=SCRIPT if way == "stdin" else None,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([os.fspath(tmp_path), *filter(None, sys.path)])},
        timeout=120,
    )
    assert (result.stdout, result.stderr) == (OUTPUT, "")


def test_a_script_that_is_imported_is_not_run_again(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    test = [sys.executable, "-Werror", "-c", "import script"]
    path = os.pathsep.join([os.fspath(tmp_path), *filter(None, sys.path)])
    result = subprocess.run(
        test, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": path}, timeout=120
    )
    assert (result.stdout, result.stderr) == (OUTPUT, "")


def test_a_notebook():
    nbformat = pytest.importorskip("nbformat")
    client = pytest.importorskip("nbclient")
    cells = SCRIPT.split('print("the script runs")')
    sources = [cells[0], 'print("the script runs")' + textwrap.dedent(cells[1])]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in sources])
    client.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [output.get("text", output) for cell in notebook.cells for output in cell.outputs]
    assert "".join(outputs) == OUTPUT


def test_mean_squared_error_is_still_this_packages_own():
    model = Sequential([Flatten(), Dense(3)]).build((6, 6, 1), rng=0)
    assert DataParallel(model, mean_squared_error, 2).worker_pool.is_builtin
