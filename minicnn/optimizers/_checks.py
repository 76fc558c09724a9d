"""Mistakes in a rule of the user's own that would otherwise train on with wrong numbers."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np


def check_update(
    kind: str, delta: Any, grad: np.ndarray, given: Sequence[np.ndarray], state: Mapping[str, np.ndarray]
) -> None:
    """Raise unless `update` returned an array like `grad` and left the list of state arrays as it was."""
    if not isinstance(delta, np.ndarray) or delta.shape != grad.shape:
        got = f"an array of shape {delta.shape}" if isinstance(delta, np.ndarray) else f"{delta!r:.100}"
        raise TypeError(f"{kind}.update must return an array of shape {grad.shape}, got {got}")
    if len(given) != len(state) or any(a is not b for a, b in zip(given, state.values(), strict=True)):
        raise RuntimeError(
            f"{kind}.update must write into the arrays of `state`, as in `state[0][...] = ...`; it replaced "
            f"one, which would be forgotten after the step"
        )


def check_first_step(kind: str, arrays: Mapping[str, np.ndarray], grads: Sequence[np.ndarray]) -> None:
    """Warn if the first step has left a state array at zero."""
    unused = [slot for slot, flat in arrays.items() if not flat.any()]
    if unused and any(grad.any() for grad in grads):
        warnings.warn(
            f"the state {', '.join(unused)} of {kind} is still zero after the first step: `update` must "
            f"write into the arrays of `state`, as in `state[0][...] = ...`",
            stacklevel=3,
        )


@contextmanager
def watched_attributes(optimizer: Any) -> Iterator[None]:
    """Warn if the block gives attributes of the optimizer other values."""
    before = dict(vars(optimizer))
    yield
    changed = [name for name, value in vars(optimizer).items() if before.get(name, ...) is not value]
    if changed:
        warnings.warn(
            f"{type(optimizer).__name__}.update changes the attributes {', '.join(changed)}; it is "
            f"called for each block of weights, and checkpoints do not hold them: use `slots` and `steps`",
            stacklevel=4,
        )
