"""Residual: layers with a shortcut around them."""

from collections.abc import Iterable

import numpy as np

from minicnn.layers._branches import Branches, check_branch
from minicnn.layers._chain import repr_lists
from minicnn.layers.base import Layer
from minicnn.validation import check_dy


class Residual(Branches):
    """Add the input to the output of layers: y = f(x) + x, or f(x) + shortcut(x) (He et al. 2016).

    The layers of f learn what to change in x, and gradients reach the layers below undiminished through the
    shortcut. He et al. put a ReLU after the sum, `Sequential([Residual([...]), ReLU()])`; in the later form
    (He et al. 2016b, "identity mappings") there is none.

    Parameters
    ----------
    layers : iterable of Layer, or a Layer
        f, in order of application.
    shortcut : iterable of Layer, or a Layer, optional
        Layers for the shortcut, where f(x) has another shape than x. By default the shortcut is x itself.

    Attributes
    ----------
    layers : list of Layer
    shortcut : list of Layer or None

    Raises
    ------
    ValueError
        From `build` and `forward`, if f(x) and the shortcut have different shapes.

    Examples
    --------
    >>> from minicnn import Conv2D, ReLU
    >>> block = Residual([Conv2D(8, 3, padding="same"), ReLU(), Conv2D(8, 3, padding="same")])
    >>> block.build((16, 16, 8), rng=0).output_shape
    (16, 16, 8)
    >>> smaller = Residual(
    ...     [Conv2D(16, 3, strides=2, padding="same"), ReLU(), Conv2D(16, 3, padding="same")],
    ...     shortcut=[Conv2D(16, 1, strides=2)],
    ... )
    >>> smaller.build((16, 16, 8), rng=0).output_shape
    (8, 8, 16)
    """

    def __init__(
        self, layers: Layer | Iterable[Layer], shortcut: Layer | Iterable[Layer] | None = None
    ) -> None:
        self.layers = check_branch(layers, "")
        self.shortcut = None if shortcut is None else check_branch(shortcut, "shortcut, ")

    def branch_layers(self) -> list[list[Layer]]:
        """Return the layers of f, and those of the shortcut: none if it is x itself."""
        return [self.layers, self.shortcut or []]

    def _place(self, index: int) -> str:
        return ("", "shortcut, ")[index]

    def _joined_shape(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        residual, shortcut = shapes
        if residual != shortcut:
            raise ValueError(_mismatch(residual, shortcut, bool(self.shortcut)))
        return residual

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the sum of f(x) and the shortcut."""
        residual, shortcut = self._outputs(x)
        self._joined_shape([residual.shape[1:], shortcut.shape[1:]])
        self.cache = residual.shape
        return residual + shortcut

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Return dL/dx, through f and through the shortcut; add the gradient of every weight."""
        check_dy(dy, self.cache)
        return self._input_gradient([dy, dy])

    def __repr__(self) -> str:
        shortcut = "" if self.shortcut is None else f", shortcut={repr_lists(self.shortcut)}"
        return f"Residual({repr_lists(self.layers)}{shortcut})"


def _mismatch(residual: tuple[int, ...], shortcut: tuple[int, ...], given: bool) -> str:
    """Return the message for outputs of different shapes, with a shortcut that would fit if there is one."""
    if given:
        return f"f(x) and shortcut(x) must have the same shape, got {residual} and {shortcut}"
    message = f"f(x) and x must have the same shape, got {residual} and {shortcut}"
    example = ""
    if len(residual) == len(shortcut) == 3:
        strides = tuple(-(-n // out) for n, out in zip(shortcut[:2], residual[:2], strict=True))
        if all(-(-n // s) == out for n, s, out in zip(shortcut, strides, residual, strict=False)):
            steps = (
                "" if strides == (1, 1) else f", strides={strides[0] if len({*strides}) == 1 else strides}"
            )
            example = f", such as shortcut=[Conv2D({residual[2]}, 1{steps})]"
    elif len(residual) == len(shortcut) == 1:
        example = f", such as shortcut=[Dense({residual[0]})]"
    return f"{message}: give `shortcut=` layers that turn x into the shape of f(x){example}"
