"""The search for a learning rate: steps with ever larger rates, until the loss flies off.

The range test of Smith, "Cyclical learning rates for training neural networks" (2017), with a rate that grows
exponentially, as fastai does it. It trains copies, so that nothing of the trainer changes.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.ranks import Ranks
from minicnn.training.batches import Batches, Examples
from minicnn.training.diagnosis import is_finite
from minicnn.validation import check_int, check_real

if TYPE_CHECKING:
    from minicnn.training.trainer import Trainer

_MEMORY = 0.9  # of the smoothed loss, for a step: about ten steps count
_FLOWN = 4.0  # times the least smoothed loss, and the search ends


@dataclass(frozen=True)
class RateSearch:
    """What `Trainer.lr_find` found.

    Attributes
    ----------
    rates : list of float
        The learning rate of each step, growing.
    losses : list of float
        The loss before each step, smoothed: a mean of all so far that forgets, corrected as Adam's are.
    suggestion : float
        A tenth of the rate at which the smoothed loss was least: there it still falls, a little further it
        rises.
    """

    rates: list[float]
    losses: list[float]
    suggestion: float


def find_rate(trainer: Trainer, batches: Batches, low: float, high: float, steps: int) -> RateSearch:
    """Train a copy of the trainer's model with rates from `low` to `high`, see `Trainer.lr_find`."""
    low, high = check_real(low, "low", above_low=True), check_real(high, "high", low, above_low=True)
    growth = (high / low) ** (1 / (check_int(steps, "steps", low=2) - 1))
    model, optimizer = copy.deepcopy((trainer.model, trainer.optimizer))
    rates: list[float] = []
    losses: list[float] = []
    mean = 0.0
    with DataParallel(model.train(), trainer.loss, trainer.threads) as shards:
        parameters = shards.parameters[0]
        for x, y in itertools.islice(_endless(trainer, batches), steps):
            loss, _ = shards.forward_backward(x, y)
            mean = _MEMORY * mean + (1 - _MEMORY) * float(loss)
            smoothed = mean / (1 - _MEMORY ** (len(losses) + 1))
            sane = smoothed <= _FLOWN * min([*losses, smoothed])  # not so if it is not a number
            if not sane or not is_finite(*(p.grad for p in parameters)):
                break
            rates.append(low * growth ** len(rates))
            optimizer.lr = rates[-1]
            losses.append(smoothed)
            with np.errstate(all="ignore"):  # weights that overflow show in the next loss
                optimizer.step(parameters)
    if not losses:
        raise FloatingPointError(f"the model must have a finite loss at first, got {loss:g}")
    return RateSearch(rates, losses, rates[int(np.argmin(losses))] / 10)


def _endless(trainer: Trainer, batches: Batches) -> Iterator[Examples]:
    """Yield batches as the next epochs of a fit would see them."""
    for epoch in itertools.count(trainer.epoch):
        for step, (_, x, y) in enumerate(batches.epoch(epoch, 0, Ranks())):
            if trainer.augment is not None:
                x = trainer.augment(x, np.random.default_rng([trainer.seed, epoch, step + 1, 0]))
            yield x, y
