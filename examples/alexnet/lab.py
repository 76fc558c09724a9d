"""The laboratory of claims.py: a small net in many variants, trained on a few images, with several seeds.

A run is described by a `Run`, and gives a dictionary of numbers. Runs that differ in one switch have the same
images, the same first weights and the same order of examples, so their difference is due to that switch; the
seeds, each with images of its own, tell how far chance goes.
"""

import dataclasses
import functools
import math
import multiprocessing
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from patches import mean_answer, ten_patches

from minicnn import (
    SGD,
    AdamW,
    Callback,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    LocalResponseNorm,
    Pool2D,
    ReLU,
    Sequential,
    Tanh,
    Trainer,
)
from minicnn.datasets import Augment, load_fashion_mnist, load_mnist
from minicnn.initializers import glorot_normal, he_normal, normal
from minicnn.metrics import accuracy
from minicnn.schedules import cosine

DATA = {"fashion-mnist": load_fashion_mnist, "mnist": load_mnist}
BATCH_SIZE = 32
FILTERS = (24, 32, 32, 32)  # of the convolutions after the first
HIDDEN = 128
SHIFT = 2  # pixels, of augmentation and of the ten patches
SAMPLE = 1000  # training images on which the error is measured during a run

# The quantile 0.975 of Student's t for 1, 2, 3 ... differences less one.
T = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)


@dataclasses.dataclass(frozen=True)
class Run:
    """One training: the net, the data, the recipe. The defaults are what the claims compare with."""

    seed: int = 0
    data: str = "fashion-mnist"
    images: int = 5000
    tested: int = 10000  # test images
    epochs: int = 10
    rate: float = 2e-3
    activation: str = "relu"
    pool: int = 3  # rows and columns of a pooling window; its stride is 2
    alpha: float | None = None  # of the response normalisation; None leaves it out
    dropout: float = 0.0
    without: tuple[int, ...] = ()  # convolutions that are left out, counted from 1
    augment: bool = False
    first: tuple[int, int] = (12, 5)  # filters of the first convolution, and their size
    std: float | None = None  # of the first convolution's initial weights; None is for He's
    momentum: bool = False  # SGD with momentum 0.9 at a constant rate, in place of AdamW and a cosine
    ten: bool = False  # whether to measure the error of the mean over ten patches, too
    every: int = 0  # steps between two measurements of the training error; 0 for none
    curve: int = 0  # epochs between two measurements of training and test error; 0 for none
    validate: bool = False  # whether training images held out take the place of the test images: for choices


def make_net(run: Run) -> Sequential:
    """Return AlexNet's shape for 28x28x1: five convolutions, three pools, three dense layers."""
    activation, start = {"relu": (ReLU, he_normal), "tanh": (Tanh, glorot_normal)}[run.activation]
    layers: list[Layer] = []
    convolutions = [(*run.first, 2), *((filters, 3, 1) for filters in FILTERS)]
    for number, (filters, size, stride) in enumerate(convolutions, 1):
        if number not in run.without:
            drawn = start if number > 1 or run.std is None else normal(run.std)
            layers += [Conv2D(filters, size, stride, "same", kernel_initializer=drawn), activation()]
        if number in (1, 2) and run.alpha is not None:
            layers.append(LocalResponseNorm(alpha=run.alpha))
        if number in (1, 2, 5):
            layers.append(Pool2D(run.pool, 2, "same"))
    layers.append(Flatten())
    for _ in range(2):
        layers += [Dense(HIDDEN, kernel_initializer=start), activation()]
        if run.dropout:
            layers.append(Dropout(run.dropout))
    return Sequential([*layers, Dense(10)]).build((28, 28, 1), rng=run.seed)


@functools.cache
def load(data: str) -> tuple:
    """Return a data set; a process reads it once."""
    return DATA[data]()


def split(run: Run) -> tuple:
    """Return the training images and labels, which the seed draws, and those to test with."""
    (x, y), (x_test, y_test) = load(run.data)
    order = np.random.default_rng([run.seed, 2012]).permutation(len(x))
    chosen, held_out = order[: run.images], order[-5000:]
    if run.validate:
        x_test, y_test = x[held_out], y[held_out]
    return (x[chosen], y[chosen]), (x_test[: run.tested], y_test[: run.tested])


def make_trainer(run: Run) -> Trainer:
    """Return the trainer of a run; it has one thread, since several runs work at once."""
    steps = run.epochs * math.ceil(run.images / BATCH_SIZE)
    # The paper's momentum, and its rates divided by hand, had 850,000 steps; a run here has 1,500.
    adam = AdamW(cosine(run.rate, steps, warmup=steps // 20), weight_decay=0.05)
    optimizer = SGD(run.rate, momentum=0.9) if run.momentum else adam
    moves = Augment(shift=SHIFT, rotation=0, shear=0, scale=0, flip=True) if run.augment else None
    return Trainer(make_net(run), optimizer, seed=run.seed, augment=moves, threads=1)


def error(trainer: Trainer, x: np.ndarray, y: np.ndarray) -> float:
    """Return wrong answers in per cent."""
    return round(100 * (1 - trainer.evaluate(x, y)["accuracy"]), 3)


class Watch(Callback):
    """Measures errors during a run, by the number of epochs."""

    def __init__(self, run: Run, trainer: Trainer, train: tuple, test: tuple) -> None:
        self.run, self.trainer, self.train, self.test = run, trainer, train, test
        self.steps = 0
        self.fast: list[tuple[float, float]] = []  # epochs, training error of the sample
        self.curve: list[tuple[int, float, float]] = []  # epochs, training and test error

    def on_batch_end(self, step, logs):
        """Measure the error of the sample now and then."""
        self.steps += 1
        if self.run.every and self.steps % self.run.every == 0:
            epochs = self.steps * BATCH_SIZE / self.run.images
            self.fast.append((round(epochs, 3), error(self.trainer, *(part[:SAMPLE] for part in self.train))))

    def on_epoch_end(self, epoch, logs):
        """Measure both errors now and then."""
        if self.run.curve and (epoch + 1) % self.run.curve == 0:
            self.curve.append((epoch + 1, error(self.trainer, *self.train), error(self.trainer, *self.test)))


def carry_out(run: Run) -> dict:
    """Train, and return what was measured: errors in per cent."""
    train, test = split(run)
    trainer = make_trainer(run)
    watch = Watch(run, trainer, train, test)
    trainer.fit(*train, epochs=run.epochs, batch_size=BATCH_SIZE, callbacks=[watch], verbose=0)
    found = {"test": error(trainer, *test), "train": error(trainer, *train)}
    if run.ten:
        answers = mean_answer(trainer, ten_patches(test[0], SHIFT))
        found["ten"] = round(100 * (1 - accuracy(answers, test[1])), 3)
    return found | {"fast": watch.fast, "curve": watch.curve}


class Lab:
    """Carries runs out, several at a time, each only once.

    Parameters
    ----------
    seeds : sequence of int
        Every variant is trained with each.
    size : float
        The share of images used; 1.0 is what the README reports.
    processes : int
        Runs at a time.
    data : str
        A key of `DATA`.
    """

    def __init__(
        self, seeds: Sequence[int], size: float = 1.0, processes: int = 1, data: str = "fashion-mnist"
    ) -> None:
        self.seeds, self.size, self.processes, self.data = list(seeds), size, processes, data
        self.known: dict[tuple[Callable, Run], dict] = {}

    def results(
        self,
        *variants: Run,
        seeds: Iterable[int] | None = None,
        work: Callable[[Run], dict] = carry_out,
    ) -> list[list[dict]]:
        """Return for each variant what `work` found with each of the seeds."""
        seeds = self.seeds if seeds is None else list(seeds)
        runs = [[(work, self._sized(variant, seed)) for seed in seeds] for variant in variants]
        new = [run for row in runs for run in row if run not in self.known]
        if self.processes == 1 or len(new) < 2:
            found = [work(run) for work, run in new]
        else:
            # "spawn": a process begins afresh, whatever threads this one has.
            with ProcessPoolExecutor(self.processes, multiprocessing.get_context("spawn")) as pool:
                found = list(pool.map(work, [run for _, run in new]))
        self.known.update(zip(new, found, strict=True))
        return [[self.known[run] for run in row] for row in runs]

    def _sized(self, run: Run, seed: int) -> Run:
        images, tested = (max(int(count * self.size), 100) for count in (run.images, run.tested))
        return dataclasses.replace(run, seed=seed, data=self.data, images=images, tested=tested)


def mean_sd(values: Sequence[float]) -> tuple[float, float]:
    """Return mean and standard deviation, which is 0 for a single value."""
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else 0.0


def spread(values: Sequence[float]) -> str:
    """Return mean and standard deviation as text.

    >>> spread([10.0, 11.0, 12.0])
    '11.00 ± 1.00'
    """
    return "{:.2f} ± {:.2f}".format(*mean_sd(values))


def verdict_on(gains: Sequence[float]) -> tuple[str, str]:
    """Return the mean of paired gains with its 95 % interval, and whether it agrees with a claim of a gain.

    >>> verdict_on([1.0, 1.2, 0.8, 1.0])
    ('+1.00 (95 % interval +0.74 to +1.26)', 'agrees')
    """
    mean, sd = mean_sd(gains)
    if len(gains) < 2:
        return f"{mean:+.2f}", "one seed decides nothing"
    half = T[min(len(gains), 10) - 2] * sd / math.sqrt(len(gains))
    text = f"{mean:+.2f} (95 % interval {mean - half:+.2f} to {mean + half:+.2f})"
    if mean - half > 0:
        return text, "agrees"
    return text, "disagrees" if mean + half < 0 else "not distinguishable from chance"
