"""What all layers built within one `build` share: the dtype, and the rules of who reads a file."""

from contextvars import ContextVar
from typing import Any

import numpy as np


class BuildRules:
    """No rules: every layer may be built, and its output shape comes from running it."""

    def check(self, layer: Any, input_shape: tuple[int, ...]) -> None:
        """Raise ValueError if the layer must not be built for this shape; called before `init_params`."""

    def output_shape(self, layer: Any, input_shape: tuple[int, ...]) -> tuple[int, ...] | None:
        """Return the output shape if it is known without running the layer."""
        return None


NO_RULES = BuildRules()
outer_dtype: ContextVar[np.dtype | None] = ContextVar("dtype of the outermost build", default=None)
build_rules: ContextVar[BuildRules] = ContextVar("rules of the outermost build", default=NO_RULES)
