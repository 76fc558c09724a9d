"""The learning-rate finder: steps with growing rates, until the loss diverges.

The range test of Smith, "Cyclical learning rates for training neural networks" (2017), with a rate that grows
exponentially, as in fastai. It trains copies, so that the trainer does not change.
"""

import copy
import itertools
from dataclasses import dataclass

import numpy as np

from minicnn.layers._claims import reading
from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.ranks import Ranks
from minicnn.training.batches import Batches
from minicnn.training.diagnosis import is_finite
from minicnn.training.state import TrainingState
from minicnn.validation import check_int, check_real

_SMOOTHING = 0.9  # weight of the mean loss so far: about ten steps count
_DIVERGED = 4.0  # times the lowest smoothed loss


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
        rises.
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
    """Train a copy of the model with rates from `low` to `high`, see `Trainer.lr_find`.

    The function is long because it is a training loop of its own, which stops by the losses so far.
    """
    low, high = check_real(low, "low", above_low=True), check_real(high, "high", low, above_low=True)
    growth = (high / low) ** (1 / (check_int(steps, "steps", low=2) - 1))
    with reading(state.model):
        model, optimizer = copy.deepcopy((state.model, state.optimizer))
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    epochs = (batches.epoch(epoch, 0, Ranks()) for epoch in itertools.count(state.epoch))
    with DataParallel(model.train(), state.loss, threads, workers=workers) as data_parallel:
        parameters = data_parallel.parameters[0]
        for batch in itertools.islice(itertools.chain.from_iterable(epochs), steps):
            loss, _ = data_parallel.forward_backward(batch.x, batch.y)
            mean = _SMOOTHING * mean + (1 - _SMOOTHING) * float(loss)
            smoothed = mean / (1 - _SMOOTHING ** (len(losses) + 1))
            converging = smoothed <= _DIVERGED * min([*losses, smoothed])  # False for NaN
            if not converging or not is_finite(*(p.grad for p in parameters if p.trainable)):
                break
            rates.append(low * growth ** len(rates))
            optimizer.lr = rates[-1]
            losses.append(smoothed)
            with np.errstate(all="ignore"):  # weights that overflow show in the next loss
                optimizer.step(parameters)
    if not losses:
        raise FloatingPointError(
            f"the loss is {loss:g} before the first step: check the data and the initial weights"
        )
    return RateSearch(rates, losses, rates[int(np.argmin(losses))] / 10)
