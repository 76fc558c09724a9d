"""Chains of layers side by side: what Residual and Concatenate share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np

from minicnn.errors import located
from minicnn.layers._chain import Chain, unfitting_layer
from minicnn.layers.base import Layer

T = TypeVar("T")


class Branches(Layer):
    """Abstract: chains of layers that all get the same input. A subclass joins their outputs."""

    def branch_layers(self) -> list[list[Layer]]:
        """Return the layers of each branch; an empty list is the identity."""
        raise NotImplementedError

    @property
    def needs_dx(self) -> bool:
        """Whether the branches must compute dL/dx."""
        return all(Chain(branch).needs_dx for branch in self.branch_layers())

    @needs_dx.setter
    def needs_dx(self, needed: bool) -> None:
        for branch in self.branch_layers():
            Chain(branch).needs_dx = needed

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Build all branches for the input shape, in order."""
        for i, branch in enumerate(self.branch_layers()):
            in_branch(self._place(i), Chain(branch).init_params, input_shape, rng)

    def unbuilt_part(self) -> str:
        """Return which layer must be built, or again because it was replaced; empty if none."""
        found = super().unbuilt_part()
        for i, branch in enumerate(self.branch_layers()):
            end = branch[-1].output_shape if branch else ()
            unfit = unfitting_layer(branch, self.input_shape, end)
            found = found or (unfit and f"{self._place(i)}{unfit}")
        return found

    def _place(self, index: int) -> str:
        """Return what stands before a layer of a branch in error messages."""
        return f"branch {index}, "

    def _shape_from_parts(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the output shape of branches that are built for this input shape."""
        chains = map(Chain, self.branch_layers())
        return self._joined_shape([chain._shape_from_parts(input_shape) for chain in chains])

    def _joined_shape(self, shapes: list[tuple[int, ...]]) -> tuple[int, ...]:
        """Return the output shape for those of the branches; raise ValueError if they do not fit."""
        raise NotImplementedError

    def _outputs(self, x: np.ndarray) -> list[np.ndarray]:
        """Return the output of each branch; that of an empty one is `x` itself."""
        return [
            in_branch(self._place(i), Chain(branch).forward, x) if branch else x
            for i, branch in enumerate(self.branch_layers())
        ]

    def _input_gradient(self, gradients: list[np.ndarray]) -> np.ndarray | None:
        """Return dL/dx from the gradients of the branches' outputs; None if a first layer returns None."""
        parts = [
            in_branch(self._place(i), Chain(branch).backward, dy) if branch else dy
            for i, (branch, dy) in enumerate(zip(self.branch_layers(), gradients, strict=True))
        ]
        dx, *others = parts
        for part in others:
            dx = None if dx is None or part is None else dx + part
        return dx


def in_branch(place: str, call: Callable[..., T], *arguments: Any) -> T:
    """Return `call(*arguments)`; the message of an error starts with the branch's place."""
    with located(place):
        return call(*arguments)


def check_branch(layers: Layer | Iterable[Layer], place: str) -> list[Layer]:
    """Return a list of these layers, or of the single layer; TypeError names the place if one is none."""
    return in_branch(place, Chain, layers).layers
