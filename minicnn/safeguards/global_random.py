"""Code of the user's that draws random numbers from a global stream, which no checkpoint can restore."""

import contextlib
import random
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np


@contextlib.contextmanager
def no_global_random(what: str) -> Iterator[None]:
    """Warn if numbers are drawn from `np.random` or `random` in the block: `what` says by whom."""
    before = _positions()
    yield
    if names := [name for name, position in _positions().items() if position != before[name]]:
        warnings.warn(
            f"{what} draws from the global stream of {' and '.join(names)}, so neither `seed` nor a resumed "
            f"fit gives the same numbers, and workers may all draw the same: use a np.random.Generator, "
            f"which `augment` gets as `rng` and a layer gets in `init_params`",
            stacklevel=3,
        )


def _positions() -> dict[str, Any]:
    """Return where the global streams are; `np.random` is only looked at if something has imported it."""
    state = repr(np.random.get_state()) if "numpy.random" in sys.modules else ""  # noqa: NPY002  (looked at)
    return {"np.random": state, "random": random.getstate()}
