"""Learning-rate schedules: functions of the step, counted from 0, to be passed as `lr=`.

Any function `step -> float` is a schedule; the ones returned here also pickle, and their `repr` is the call
that created them.
"""

import math
from collections.abc import Callable
from typing import TypeAlias

from minicnn.validation import ConfiguredFunction, check_int, check_real

__all__ = ["Schedule", "constant", "cosine", "step_decay"]

Schedule: TypeAlias = Callable[[int], float]


def constant(lr: float) -> Schedule:
    """Return a schedule with the constant rate `lr`.

    >>> constant(0.1)(1000)
    0.1
    """
    return ConfiguredFunction(_constant, lr=check_real(lr, "lr"))


def step_decay(lr: float, every: int, factor: float = 0.1) -> Schedule:
    """Return a schedule that multiplies the rate by `factor` every `every` steps.

    Keras's `ExponentialDecay(lr, every, factor, staircase=True)`.

    Parameters
    ----------
    lr : float
        Rate of the first `every` steps.
    every : int
        Steps, not epochs: an epoch has ceil(examples / batch_size) of them.
    factor : float
        Above 0.

    Examples
    --------
    >>> schedule = step_decay(1.0, every=100, factor=0.5)
    >>> schedule(99), schedule(100), schedule(200)
    (1.0, 0.5, 0.25)
    """
    every, factor = check_int(every, "every", low=1), check_real(factor, "factor", above_low=True)
    return ConfiguredFunction(_step_decay, lr=check_real(lr, "lr"), every=every, factor=factor)


def cosine(lr: float, steps: int, warmup: int = 0, final: float = 0.0) -> Schedule:
    """Return a schedule that rises linearly from 0 to `lr`, then falls along half a cosine to `final`.

    Keras's `CosineDecay(0, steps, alpha=final / lr, warmup_target=lr, warmup_steps=warmup)`; the cosine
    is Loshchilov and Hutter's (2016), the warm-up Goyal et al.'s (2017).

    Parameters
    ----------
    lr : float
        The highest rate, reached at step `warmup`.
    steps : int
        Number of steps from `lr` to `final`, after the warm-up: `final` is reached at step `warmup + steps`
        and kept.
    warmup : int
        Number of steps from 0 to `lr`; with 0 the first step has the full rate.
    final : float
        The final rate itself, not a fraction of `lr` as in Keras.

    Examples
    --------
    >>> schedule = cosine(1.0, steps=100, warmup=10)
    >>> schedule(0), schedule(5), schedule(10), round(schedule(60), 6), schedule(110), schedule(999)
    (0.0, 0.5, 1.0, 0.5, 0.0, 0.0)
    """
    lr, final = check_real(lr, "lr"), check_real(final, "final")
    steps, warmup = check_int(steps, "steps", low=1), check_int(warmup, "warmup")
    return ConfiguredFunction(_cosine, lr=lr, steps=steps, warmup=warmup, final=final)


def _constant(step: int, lr: float) -> float:
    return lr


def _step_decay(step: int, lr: float, every: int, factor: float) -> float:
    return lr * factor ** (step // every)


def _cosine(step: int, lr: float, steps: int, warmup: int, final: float) -> float:
    if step < warmup:
        return lr * step / warmup
    fallen = min((step - warmup) / steps, 1.0)
    return final + (lr - final) * 0.5 * (1.0 + math.cos(math.pi * fallen))
