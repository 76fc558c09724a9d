"""Concatenate: branches of layers side by side."""

from collections.abc import Iterable

import numpy as np

from minicnn.layers._branches import Branches, check_branch
from minicnn.layers._chain import repr_lists
from minicnn.layers.base import Layer
from minicnn.validation import check_dy


class Concatenate(Branches):
    """Run branches of layers on the same input, and concatenate their outputs along the channels.

    The Inception module (Szegedy et al. 2015) has convolutions of several sizes as branches; a dense block
    (Huang et al. 2017) has the input itself as one, an empty branch.

    Parameters
    ----------
    branches : iterable
        Each branch is an iterable of Layer in order of application, or a Layer. An empty one is the input.

    Attributes
    ----------
    branches : list of list of Layer

    Raises
    ------
    ValueError
        From `build` and `forward`, if outputs differ in another axis than the last.

    Examples
    --------
    >>> from minicnn import Conv2D, Pool2D
    >>> block = Concatenate([Conv2D(8, 1), [Conv2D(4, 1), Conv2D(6, 3, padding="same")], []])
    >>> block.build((16, 16, 3), rng=0).output_shape
    (16, 16, 17)
    """

    def __init__(self, branches: Iterable[Layer | Iterable[Layer]]) -> None:
        self.branches = [check_branch(branch, f"branch {i}, ") for i, branch in enumerate(branches)]
        if not self.branches:
            raise ValueError("`branches` must hold at least 1 branch, got none")

    def branch_layers(self) -> list[list[Layer]]:
        """Return the branches."""
        return self.branches

    def _joined_shape(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        if len({shape[:-1] for shape in shapes}) > 1:
            given = ", ".join(map(str, shapes))
            raise ValueError(f"the outputs of the branches must agree in all but channels, got {given}")
        return (*shapes[0][:-1], sum(shape[-1] for shape in shapes))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs of all branches, one after the other along the last axis."""
        outputs = self._outputs(x)
        self._joined_shape([y.shape[1:] for y in outputs])
        y = np.concatenate(outputs, axis=-1)
        self.cache = y.shape, [each.shape[-1] for each in outputs]
        return y

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Return dL/dx, the sum over the branches; add the gradient of every weight."""
        shape, channels = self.cache
        check_dy(dy, shape)
        parts = np.split(dy, np.cumsum(channels[:-1]), axis=-1)
        return self._input_gradient([part.copy(order="K") for part in parts])

    def __repr__(self) -> str:
        return f"Concatenate({repr_lists(self.branches)})"
