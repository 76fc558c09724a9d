"""One forward and one backward on copies of the arguments, and the names of their results in reports."""

from typing import Any, NamedTuple

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.report import fail_check

INPUT = ""  # key of the input beside the names of the weights, one of which may be "x"


class Run(NamedTuple):
    """The results of one forward and one backward."""

    y: np.ndarray
    dx: np.ndarray
    dweights: dict[str, np.ndarray]

    def arrays(self) -> dict[str, np.ndarray]:
        """Return all arrays under the names that reports use: y, dx, dkernel ..."""
        return {"y": self.y, "dx": self.dx, **{gradient_name(w): g for w, g in self.dweights.items()}}


def gradient_name(name: str) -> str:
    """Return the name that reports use for the gradient of a weight or of INPUT."""
    if name in ("x", "y"):
        return f"d({name!r})"  # of a weight; dx and dy belong to the input and the output
    return f"d{name}" if name != INPUT else "dx"


def run(layer: Layer, x: np.ndarray, dy: np.ndarray) -> Run:
    """Run forward and backward on copies of `x` and `dy`, and return copies of the results."""
    y = layer(x.copy()).copy()
    dx = run_backward(layer, dy.copy()).copy()
    return Run(y, dx, {name: p.grad.copy() for name, p in layer.named_parameters()})


def run_backward(layer: Layer, dy: np.ndarray) -> np.ndarray:
    """Run backward and return dx; fail if it is not an array."""
    dx = layer.backward(dy)
    if not isinstance(dx, np.ndarray):
        hint = "a missing `return dx`"
        fail_check("backward must return an array, dL/dx", "dx", got=type(dx).__name__, hint=hint)
    return dx


def gradients_of(layer: Layer, dy: np.ndarray) -> dict[str, np.ndarray]:
    """Run backward on a copy of `dy`; return copies of dx and of the accumulated gradients of all weights."""
    dx = run_backward(layer, dy.copy()).copy()
    dweights = {gradient_name(name): p.grad.copy() for name, p in layer.named_parameters()}
    return {"dx": dx, **dweights}


def trainable(layer: Layer) -> list[tuple[str, Any]]:
    """Return (name, parameter) for each weight that an optimizer updates."""
    return [(name, p) for name, p in layer.named_parameters() if p.trainable]
