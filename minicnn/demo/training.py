"""One network that learns from nothing: steps, tests, and the states that it returns to."""

import math
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from minicnn.demo.advice import Seen, advice
from minicnn.demo.architecture import make_net
from minicnn.demo.curves import Curves, Point
from minicnn.demo.inputs import Inputs
from minicnn.demo.settings import Settings
from minicnn.demo.snapshots import Gradients, Viewer
from minicnn.layers import Sequential
from minicnn.optimizers import OPTIMIZERS, SGD, Optimizer
from minicnn.training import Batch, Trainer
from minicnn.training.batches import make_batches

Examples = tuple[np.ndarray, np.ndarray]

_TESTS_PER_EPOCH = 5
_TEST_IMAGES = 1000
_PROBE_IMAGES = 100
_RATE_EVERY = 0.5  # seconds over which steps are counted


class State(NamedTuple):
    """What a training continues from."""

    weights: list[np.ndarray]
    optimizer: dict[str, np.ndarray]
    step: int
    points: tuple[int, int]  # of the curves
    generators: list[Any]  # of Dropout


class Training:
    """A network, its optimizer and its data; all but `look` is called by one thread.

    Parameters
    ----------
    opened : Sequential
        The opened network.
    inputs : Inputs
        How images become its inputs.
    settings : Settings
        What was chosen.
    train, test : (images, labels)
        What is learned, and what is only tested; without the latter there is no curve of tests.
    threads : int, optional
        Cores that compute a step, as for `Trainer`.
    """

    def __init__(
        self,
        opened: Sequential,
        inputs: Inputs,
        settings: Settings,
        train: Examples,
        test: Examples | None,
        threads: int | None = None,
    ) -> None:
        self.settings = settings
        x, y = train if settings.images == "all" else _some(train, int(settings.images))
        self.model = make_net(settings, opened)
        self.trainer = Trainer(self.model, _optimizer(settings), seed=settings.seed, threads=threads)
        config = replace(inputs.config, augment=settings.augment == "yes")
        augment = config.make_augment(inputs.shape, own=not inputs.drawn)
        self._batches = make_batches(
            x, y, self.model, settings.batch_size, seed=settings.seed, augment=augment
        )
        self._rest: Iterator[Batch] = iter(())  # of the epoch, as far as it was begun
        self.images, self.classes = len(x), opened.output_shape[0]
        self.steps_per_epoch = math.ceil(self.images / settings.batch_size)
        self._test = None if test is None else _some(test, _TEST_IMAGES)
        self._gradients, self._parameters = Gradients(self.model), self.model.parameters()
        probe = (x if self._test is None else self._test[0])[:_PROBE_IMAGES]
        self._viewer = Viewer(make_net(settings, opened), inputs, probe)
        self.step, self.goal = 0, 0.0
        self.error = ""
        self._curves = Curves(self.steps_per_epoch)
        self._rate, self._counted = 0.0, (time.monotonic(), 0)  # the second are time and step
        self._shown: dict[str, Any] = {}
        self.publish()

    @property
    def epoch(self) -> float:
        """How many times it has seen all images."""
        return self.step / self.steps_per_epoch

    @property
    def size(self) -> int:
        """Bytes of a state."""
        return 3 * sum(parameter.value.nbytes for parameter in self._parameters)

    def describe(self) -> dict[str, Any]:
        """Return what the page shows once."""
        return {
            "settings": self.settings.to_texts(),
            "weights": sum(p.size for p in self._parameters if not p.is_statistic),
            "layers": [repr(layer) for layer in self.model],
            "images": self.images,
            "tests": 0 if self._test is None else len(self._test[0]),
            "steps_per_epoch": self.steps_per_epoch,
        }

    def begin(self, goal: float) -> None:
        """Take a new goal: the step at which to pause."""
        self.goal, self.error = goal, ""
        self._rate, self._counted = 0.0, (time.monotonic(), self.step)

    def advance(self) -> None:
        """Make a step; one that is not possible is an error, and ends what was wanted."""
        if self._curves.lengths == (0, 0):
            self._evaluate()
        state = self.trainer.state  # which a message about what is not finite names
        state.epoch, state.step = divmod(self.step, self.steps_per_epoch)
        try:
            with np.errstate(all="ignore"):
                results = self.trainer.train_step(self._next_batch())
        except FloatingPointError as error:
            self.error, self.goal, self._rest = f"{error}", self.step, iter(())
            return
        self.step += 1
        last = self.step >= self.goal
        self._curves.add_step(self.step, float(results["loss"]), float(results["accuracy"]), last)
        parts = [step * _TESTS_PER_EPOCH // self.steps_per_epoch for step in (self.step - 1, self.step)]
        if parts[0] < parts[1]:
            self._evaluate()

    def _next_batch(self) -> Batch:
        """Return the batch that `Trainer.fit` takes at this step."""
        batch = next(self._rest, None)
        if batch is None:
            epoch, step = divmod(self.step, self.steps_per_epoch)
            self._rest = self._batches.epoch(epoch, step, self.trainer.ranks)
            batch = next(self._rest)
        return batch

    def _evaluate(self) -> None:
        if self._test is not None:
            with np.errstate(all="ignore"):
                scores = self.trainer.evaluate(*self._test)
            self._curves.add_test(self.step, scores["loss"], scores["accuracy"])

    def state(self) -> State:
        """Return the state of this moment."""
        optimizer = self.trainer.optimizer.state_dict()
        generators = [generator.bit_generator.state for generator in self.trainer.generators()]
        return State(self.model.get_weights(), optimizer, self.step, self._curves.lengths, generators)

    def restore(self, state: State) -> None:
        """Return to a state."""
        weights, optimizer, self.step, points, generators = state
        self.goal, self.error = self.step, ""
        self.model.set_weights(weights)
        self.trainer.optimizer.load_state_dict(optimizer, self.step, self._parameters)
        for generator, before in zip(self.trainer.generators(), generators, strict=True):
            generator.bit_generator.state = before
        self._curves.cut(points)
        self._rest = iter(())

    def publish(self) -> None:
        """Publish the state of this moment, for `look` in other threads."""
        now, (before, steps) = time.monotonic(), self._counted
        if now - before > _RATE_EVERY:
            self._rate, self._counted = (self.step - steps) / (now - before), (now, self.step)
        self._shown = {
            "step": self.step,
            "rate": self._rate,
            "error": self.error,
            **self._curves.shown(),
            "gradients": self._gradients.sizes() if self.step else [],
            "weights": [parameter.value.copy() for parameter in self._parameters],
        }

    def look(self, image: np.ndarray | None) -> dict[str, Any]:
        """Return how far the training is, what the network is like, and what it says of an image."""
        found = dict(self._shown)
        step, train, test = found["step"], found["train"], found["test"]
        found |= self._viewer.look(found.pop("weights"), step, image)
        seen = Seen(
            step=step,
            epoch=step / self.steps_per_epoch,
            classes=self.classes,
            train=_last(train),
            test=_last(test),
            gradients=found["gradients"],
            dead=found["dead"],
            kernels=found["kernels"],
        )
        return found | {"advice": advice(seen)}


def _last(points: list[Point]) -> tuple[float, float] | None:
    """Return the last loss and accuracy of a curve."""
    return (points[-1][1], points[-1][2]) if points else None


def _some(examples: Examples, count: int) -> Examples:
    """Return `count` random examples, always the same: those of a folder are sorted by class."""
    x, y = examples
    rows = np.random.default_rng(0).permutation(len(x))[:count] if len(x) > count else slice(None)
    return x[rows], y[rows]


def _optimizer(settings: Settings) -> Optimizer:
    if settings.optimizer == "sgd":
        return SGD(settings.lr, settings.momentum, nesterov=settings.momentum > 0)
    return OPTIMIZERS[settings.optimizer].make(lr=settings.lr, weight_decay=0.0)
