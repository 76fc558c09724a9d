"""Learning rates under which hardly anything is learned, as of a schedule that counts steps, not epochs."""

import warnings

from minicnn.optimizers import Optimizer
from minicnn.validation import ConfiguredFunction

_SAMPLES = 16  # steps of a fit that are looked at
_NEARLY_ZERO = 1e-4  # of the largest rate


def warn_of_rates(optimizer: Optimizer, epochs: int, steps: int | None) -> None:
    """Warn if a schedule's rate is nearly 0 in most of a fit of `epochs` epochs of `steps` steps.

    A schedule of the user's is not called, since it may remember its calls.
    """
    lr = optimizer.lr
    if not isinstance(lr, ConfiguredFunction) or not steps or epochs * steps < 2:
        return
    first, total = optimizer.steps, epochs * steps
    rates = [lr(first + total * i // _SAMPLES) for i in range(_SAMPLES)]
    unit = f"in a fit of {total} steps: schedules count steps, and an epoch has {steps}"
    if first < lr.keywords.get("warmup", 0) >= first + total:
        warnings.warn(f"{lr!r} is in its warm-up until the end, {unit}", stacklevel=3)
    elif sum(rate <= _NEARLY_ZERO * max(rates) for rate in rates) > _SAMPLES // 2:
        warnings.warn(f"the learning rate is nearly 0 most of the time by {lr!r}, {unit}", stacklevel=3)
