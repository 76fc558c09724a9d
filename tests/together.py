"""Scenarios for several ranks: `mpiexec -n 2 python together.py FILE SCENARIO...` runs them.

A scenario is a function of this module; FILE gets a pickled dict with its results in all ranks. Called with
None instead of a communicator, it runs in one process.
"""

import functools
import os
import pickle
import signal
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np

from minicnn import (
    SGD,
    Adam,
    AdamW,
    AverageWeights,
    BatchNorm,
    Callback,
    CSVLogger,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    Layer,
    ReLU,
    Sequential,
    Trainer,
    sum_over_batch,
)
from minicnn.losses import mean_squared_error, softmax_cross_entropy
from minicnn.training import History
from minicnn.training.batches import ArrayBatches

RNG = np.random.default_rng(0)
X, Y = RNG.integers(0, 200, (70, 4, 4, 1)).astype(np.uint8), RNG.integers(0, 3, 70)


def distort(images, rng):
    return images + rng.integers(0, 9, (len(images), 1, 1, 1), np.uint8)


def net(*middle, dtype=np.float32):
    return Sequential([Flatten(), Dense(8), ReLU(), *middle, Dense(3)]).build((4, 4, 1), rng=1, dtype=dtype)


def outcome(trainer, history):
    return trainer.model.get_weights(), history.history, trainer.optimizer.steps


def fit(comm, *middle, x=X, y=Y, dtype=np.float32, epochs=2, threads=None, augment=None, **options):
    model = net(*middle, dtype=dtype)
    if comm is not None and comm.rank:
        model.set_weights([weight + 1 for weight in model.get_weights()])  # rank 0's are taken
    trainer = Trainer(model, Adam(1e-2), seed=2, comm=comm, threads=threads, augment=augment)
    return outcome(trainer, trainer.fit(x, y, epochs, **{"batch_size": 16} | options))


def plain(comm, **options):
    return fit(comm, validation_data=(X[:7], Y[:7]), **options)


def double(comm):
    return plain(comm, dtype=np.float64)


def dropout(comm, **options):
    return fit(comm, Dropout(0.5), **options)


def empty_shards(comm):
    """The last batch has one example, and so has the validation data."""
    return fit(comm, x=X[:33], y=Y[:33], validation_data=(X[:1], Y[:1]), dtype=np.float64)


def threads_in_ranks(comm):

    from minicnn.parallel import data_parallel

    data_parallel.SMALLEST_SHARD = 1
    return plain(comm, dtype=np.float64, threads=2)


class Center(Layer):
    """Subtracts the mean over the batch."""

    batch_dependent = True

    def forward(self, x):
        self.cache = count = self.sum_over_batch(len(x))
        return x - self.sum_over_batch(x.sum(axis=0)) / count if self.training else x.copy()

    def backward(self, dy):
        return dy - self.sum_over_batch(dy.sum(axis=0)) / self.cache


def weighted_loss(predictions, labels):
    """Weighs the squared errors by class, and divides by the sum of the weights."""
    weights = np.array([1.0, 5.0, 20.0])[labels][:, None]
    weights /= sum_over_batch(weights.sum()) / sum_over_batch(len(labels))
    error = predictions - np.eye(3)[labels]
    return float((weights * error**2).mean()), 2 * weights * error / error.size


def root_of_mean(predictions, labels):
    """Return a metric that is no mean over examples."""
    return (sum_over_batch((predictions**2).sum()) / sum_over_batch(predictions.size)) ** 0.5


def batch_sums(comm, threads=1):
    model = net(BatchNorm(), Center(), dtype=np.float64)
    metrics = {"root": root_of_mean}
    trainer = Trainer(model, SGD(0.1), weighted_loss, metrics=metrics, seed=2, comm=comm, threads=threads)
    history = trainer.fit(X[:33], Y[:33], 2, batch_size=16, validation_data=(X[:9], Y[:9]))
    return outcome(trainer, history), history.history["root"]


def batch_sums_in_threads(comm):
    from minicnn.parallel import data_parallel

    data_parallel.SMALLEST_SHARD = 1
    return batch_sums(comm, threads=2)


def weighted_loss_and_metrics(comm, threads=1):
    """Weights, accumulation, a split and a metric of the whole epoch, one after the other and together.

    The last part of an epoch has one example, which is fewer than there are ranks.
    """
    x, y, weights = X[:57], Y[:57], np.random.default_rng(5).uniform(0, 2, 57) * (np.arange(57) % 5 > 0)
    options = [
        {"sample_weight": weights},
        {"class_weight": {0: 2.0, 2: 0.25}},
        {"accumulate_steps": 3},
        {"validation_split": 0.2},
        {"sample_weight": weights, "class_weight": {1: 3.0}, "accumulate_steps": 3, "validation_split": 0.2},
    ]
    found = []
    for labels, each in [*((y, each) for each in options), (np.eye(3)[y], options[-1])]:
        model = net(dtype=np.float64)
        metrics = ["accuracy", "macro_f1"]
        trainer = Trainer(model, Adam(1e-2), metrics=metrics, seed=2, comm=comm, threads=threads)
        found.append(outcome(trainer, trainer.fit(x, labels, 2, batch_size=8, verbose=0, **each)))
    return found


def fine_tuned(comm, threads=1):
    """Label smoothing, groups, an average of the weights, frozen layers, and weights of examples."""
    model = net(BatchNorm(), dtype=np.float64)
    model[3].set_weights([np.full(8, value) for value in (1.5, 0.25, 0.5, 2.0)])
    model[1].trainable = model[3].trainable = False
    optimizer = AdamW(1e-2, weight_decay=0.1).set_group("*.bias", weight_decay=0.0, lr_scale=2.0)
    loss = functools.partial(softmax_cross_entropy, label_smoothing=0.125)
    average = AverageWeights(0.75)
    trainer = Trainer(model, optimizer, loss, seed=2, comm=comm, threads=threads, callbacks=[average])
    weights = np.random.default_rng(5).uniform(0, 2, 57)
    return outcome(trainer, trainer.fit(X[:57], Y[:57], 2, batch_size=8, sample_weight=weights, verbose=0))


class LeavesOut(Trainer):
    """Leaves out the batches whose loss is low."""

    def train_epoch(self, batches):
        for batch in batches:
            results = self.compute(batch)
            if results["loss"] > 1.1:
                self.apply_gradients()
                self.state.record(results, batch.size)
        return self.epoch_logs()


def own_epochs(comm):
    """An override of an epoch, and the same by hand."""
    options = {"metrics": ["accuracy", "macro_f1"], "seed": 2, "comm": comm, "threads": 1}
    trainer, by_hand = (LeavesOut(net(dtype=np.float64), SGD(0.1), **options) for _ in range(2))
    history = trainer.fit(X[:57], Y[:57], 2, batch_size=8, verbose=0)
    batches, logs = ArrayBatches(X[:57], Y[:57], 8, seed=2), History()
    with by_hand.session():
        for epoch in range(2):
            logs.append(epoch, by_hand.train_epoch(batches.epoch(epoch, 0, by_hand.ranks)))
    return outcome(trainer, history), outcome(by_hand, logs)


def augmented(comm):
    return fit(comm, augment=distort)


def memory_mapped(comm):
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder, "x.npy"), X)
        return plain(comm, x=np.load(Path(folder, "x.npy"), mmap_mode="r"))


def batches(epoch):
    order = np.random.default_rng([2, epoch]).permutation(len(X))
    return [(X[order[i : i + 16]], Y[order[i : i + 16]]) for i in range(0, len(X), 16)]


def given_batches(comm):
    return plain(comm, x=batches, y=None)


def regression(comm):
    trainer = Trainer(net(), SGD(0.1), loss=mean_squared_error, comm=comm)
    return outcome(trainer, trainer.fit(X, np.eye(3, dtype=np.float32)[Y], batch_size=32))


class Note(Callback):
    """Counts its calls."""

    def __init__(self):
        self.steps = 0

    def on_batch_end(self, step, logs):
        self.steps += 1


class NoteEverywhere(Note):
    every_rank = True


def which_callbacks(comm):
    notes = [Note(), NoteEverywhere()]
    fit(comm, callbacks=notes)
    return [note.steps for note in notes]


class RequestStop(NoteEverywhere):
    """Requests the end in one of the ranks, in its third step."""

    def __init__(self, comm, rank, name):
        super().__init__()
        self.requests, self.name = comm is not None and comm.rank == rank, name

    def on_batch_end(self, step, logs):
        super().on_batch_end(step, logs)
        if self.requests and self.steps == 3:
            setattr(self.state, self.name, True)


def stop_requests(comm):
    return [fit(comm, callbacks=[RequestStop(comm, rank, "stop")])[2] for rank in (0, 1)]


def stop_at_checkpoint(comm):
    """The stop is requested just before a checkpoint, which tells all ranks."""
    with tempfile.TemporaryDirectory() as own:
        options = {"checkpoint": Path(own if comm is None else comm.bcast(own), "run"), "checkpoint_every": 1}
        first = fit(comm, callbacks=[RequestStop(comm, 0, "stop")], **options)
        again = fit(comm, **options)
        if comm is not None:
            comm.Barrier()  # rank 0 removes the folder
    return first, again


def early_stopping(comm):
    """The loss is scripted in rank 0: the second epoch is the best."""

    class Script(Callback):
        every_rank = True

        def on_epoch_end(self, epoch, logs):
            logs["val_loss"] = [2, 1, 3, 3, 0, 0][epoch]

    hooks = [Script(), EarlyStopping(patience=2)]
    return fit(comm, epochs=6, callbacks=hooks, validation_data=(X[:7], Y[:7]))


def interrupted(comm):
    """Stops in the fourth step, requested by the last rank, and resumes, with one epoch more."""
    with tempfile.TemporaryDirectory() as own:
        folder = Path(own if comm is None else comm.bcast(own), "run")
        last = 0 if comm is None else comm.size - 1
        options = {"checkpoint": folder, "checkpoint_every": 2, "augment": distort}
        first = fit(comm, Dropout(0.5), callbacks=[RequestStop(comm, last, "interrupted")], **options)
        names = sorted(path.name for path in folder.iterdir()) if comm is None or comm.rank == 0 else None
        whole = fit(comm, Dropout(0.5), augment=distort, epochs=3)
        again = fit(comm, Dropout(0.5), epochs=3, **options)
        if comm is not None:
            comm.Barrier()
        return first[2], names, whole, again


class Spoil(Callback):
    """Changes the weights of the first rank only."""

    def on_epoch_end(self, epoch, logs):
        self.state.model.parameters()[0].value *= 2


class Poison(Layer):
    """Turns a black image into infinity."""

    def forward(self, x):
        self.cache = x
        return np.where(x.max(axis=1, keepdims=True) > 0, x, np.inf)

    def backward(self, dy):
        return dy


class MixesExamples(Poison):
    """Declares that it needs whole batches, and does not ask for sums."""

    batch_dependent = True


def refused(comm):
    """Return errors that all ranks must raise, since each would otherwise wait for the others."""
    rank = comm.rank
    ill = X.copy()
    ill[np.random.default_rng([2, 0]).permutation(70)[17]] = 0  # in the shard of the second rank of two
    poisoned = Sequential([Flatten(), Poison(), Dense(3)]).build((4, 4, 1), rng=1)
    cases = [
        lambda: fit(comm, MixesExamples()),
        lambda: fit(comm, callbacks=[Spoil()]),
        lambda: fit(comm, batch_size=16 + rank),
        lambda: fit(comm, x=X + rank),
        lambda: Trainer(poisoned, SGD(), seed=2, comm=comm).fit(ill, Y, batch_size=16, callbacks=[Note()]),
    ]
    return [error_of(case) for case in cases]


def error_of(case):
    try:
        case()
    except (ValueError, FloatingPointError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def raises(comm):
    """Raise an exception in one of the ranks only."""

    class Raise(NoteEverywhere):
        def on_batch_begin(self, step):
            if comm.rank:
                raise ZeroDivisionError("in rank 1")

    fit(comm, callbacks=[Raise()])


def exits(comm):
    """End one of the processes as if all were done; a child that it has forked before may do that."""

    class Exit(NoteEverywhere):
        def on_batch_begin(self, step):
            if comm.rank:
                child = os.fork()
                if not child:
                    os._exit(0)
                os.waitpid(child, 0)
                print("the child has ended", file=sys.stderr)
                os._exit(0)

    warnings.simplefilter("ignore", DeprecationWarning)  # of a fork in a process with threads
    fit(comm, callbacks=[Exit()])


def unequal_batches(comm):
    fit(comm, x=[(X[: 4 + comm.rank], Y[: 4 + comm.rank])], y=None)


class Stall(Callback):
    """Stops a rank, when both have come so far; only from then on is the other impatient."""

    every_rank = True

    def __init__(self, trainer, comm, rank):
        self.trainer, self.comm, self.rank = trainer, comm, rank

    def on_batch_end(self, step, logs):
        if step == 2:
            self.comm.Barrier()
            self.trainer.ranks._watchdog.timeout = 1
            if self.comm.rank == self.rank:
                os.kill(os.getpid(), signal.SIGSTOP)


def stalls_0(comm, rank=0):
    # On a busy machine, ranks without a fault may be many seconds apart.
    trainer = Trainer(net(), SGD(), comm=comm, rank_timeout=40)
    trainer.fit(X, Y, batch_size=16, callbacks=[Stall(trainer, comm, rank)])


def stalls_1(comm):
    stalls_0(comm, 1)


def logged(comm):
    """Only one of the ranks writes a log."""
    folder = Path(tempfile.mkdtemp())
    fit(comm, callbacks=[CSVLogger(folder / "log.csv")])
    return [len(path.read_text().splitlines()) for path in folder.iterdir()]


def main(path, *names):
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    found = {name: comm.gather(globals()[name](comm)) for name in names}
    if comm.rank == 0:
        Path(path).write_bytes(pickle.dumps(found))


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main(*sys.argv[1:])
