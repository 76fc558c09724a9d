"""The learning-rate finder: steps with growing rates, until the loss diverges.

The range test of Smith, "Cyclical learning rates for training neural networks" (2017), with a rate that grows
exponentially, as in fastai. It trains copies, so that the trainer does not change.
"""

import copy
import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from minicnn.parallel.ranks import Ranks
from minicnn.safeguards.claims import reading
from minicnn.training.batch import Batches
from minicnn.training.state import TrainingState
from minicnn.training.stepping import Stepper
from minicnn.validation import check_int, check_real

_SMOOTHING = 0.9  # weight of the mean loss so far: about ten steps count
_SETTLED = 10  # steps from which the smoothed loss is more than noise, which a trained net starts with
_DIVERGED = 4.0  # times the lowest smoothed loss
_TRIALS, _TRIAL_STEPS = 6, 100  # of the suggestion, before it is given
_FEWEST = 20  # steps from which a trial tells more than noise
_SMALLER = 3.0  # the next suggestion, if the loss did not fall with one


@dataclass(frozen=True)
class RateSearch:
    """What `Trainer.lr_find` found.

    Attributes
    ----------
    rates : list of float
        The learning rate of each step, growing.
    losses : list of float
        The loss before each step, smoothed: an exponential moving average, bias-corrected as Adam's.
    suggestion : float
        A tenth of the rate with the lowest smoothed loss: there the loss still falls, a little further it
        rises. (The first ten steps, or of fewer than 100 a tenth, do not count: a mean of so few is noise.)
        Another copy of the model was trained with it for up to 100 steps; where the loss did not fall,
        because the net died or diverged, it is a third, a ninth ... of that.
    """

    rates: list[float]
    losses: list[float]
    suggestion: float


def find_rate(
    state: TrainingState,
    batches: Batches,
    threads: int | None,
    workers: str,
    low: float,
    high: float,
    steps: int,
) -> RateSearch:
    """Train a copy of the model with rates from `low` to `high`, see `Trainer.lr_find`."""
    low, high = check_real(low, "low", above_low=True), check_real(high, "high", low, above_low=True)
    growth = (high / low) ** (1 / (check_int(steps, "steps", low=2) - 1))
    train = functools.partial(_losses, state, batches, threads, workers)
    rates: list[float] = []
    losses: list[float] = []
    mean = loss = 0.0
    settled = min(_SETTLED, steps // 10)
    for loss in train(low * growth**i for i in range(steps)):
        mean = _SMOOTHING * mean + (1 - _SMOOTHING) * loss
        smoothed = mean / (1 - _SMOOTHING ** (len(losses) + 1))
        if not smoothed <= _DIVERGED * min([*losses[settled:], smoothed]):  # also for NaN
            break
        rates.append(low * growth ** len(rates))
        losses.append(smoothed)
    if not losses:
        raise FloatingPointError(
            f"the loss is {loss:g} before the first step: check the data and the initial weights"
        )
    first = min(settled, len(losses) - 1)
    suggestion = rates[first + int(np.argmin(losses[first:]))] / 10
    return RateSearch(rates, losses, _tried(suggestion, train, steps))


def _tried(rate: float, train: Callable[[Iterable[float]], Iterator[float]], steps: int) -> float:
    """Return a rate, or a smaller one with which the loss falls."""
    for _ in range(_TRIALS if steps >= _FEWEST else 0):
        if _falls([*train(itertools.repeat(rate, min(steps, _TRIAL_STEPS)))]):
            break
        rate /= _SMALLER
    return rate


def _losses(
    state: TrainingState, batches: Batches, threads: int | None, workers: str, rates: Iterable[float]
) -> Iterator[float]:
    """Train a copy of the model with these rates; yield the loss before each step, NaN where it ends.

    It ends where a gradient is not finite, and where the model has died: it gives the same output for all
    examples, which no gradient changes any more (ReLUs that are never active).
    """
    with reading(state.model):
        model, optimizer = copy.deepcopy((state.model, state.optimizer))
    epochs = (batches.epoch(epoch, 0, Ranks()) for epoch in itertools.count(state.epoch))
    batches.peek(state.epoch)
    copied = TrainingState(model, optimizer, state.loss, metrics={"varied": _vary})
    stepper, varied = Stepper(copied, Ranks(), threads, workers), False
    with stepper.session(batches.is_weighted):
        for rate, batch in zip(rates, itertools.chain.from_iterable(epochs), strict=False):
            try:
                results = stepper.compute(batch)
            except FloatingPointError:
                break
            if varied and not results["varied"] and batch.size > 1:
                break
            varied = varied or bool(results["varied"])
            yield results["loss"]
            optimizer.lr = rate
            stepper.apply_gradients()
        else:
            return
    yield math.nan


def _vary(outputs: np.ndarray, labels: np.ndarray) -> float:
    """Return 1 if some outputs differ, a metric."""
    return float((outputs != outputs[:1]).any())


_vary.mean_over_examples = True  # type: ignore[attr-defined]


def _falls(losses: Sequence[float]) -> bool:
    """Return whether the losses of a trial fell, from its first quarter to its last, noise apart."""
    part = max(len(losses) // 4, 1)
    noise = np.std(losses[-part:]) / part**0.5
    return bool(np.mean(losses[-part:]) <= np.mean(losses[:part]) + noise)
