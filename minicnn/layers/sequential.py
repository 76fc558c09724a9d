"""Sequential: layers applied one after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.summary import summary_table

_LOCATED = (ValueError, TypeError, RuntimeError)  # errors whose message gets the layer


class Sequential(Layer):
    """Apply layers one after the other; itself a layer, so it can be nested.

    Parameters
    ----------
    layers : iterable of Layer
        In order of application. The same object cannot occur twice, since each layer has one cache.

    Examples
    --------
    >>> from minicnn import Dense, ReLU
    >>> model = Sequential([Dense(8), ReLU(), Dense(2)]).build((4,), rng=0)
    >>> len(model), model[1], [type(layer).__name__ for layer in model]
    (3, ReLU(), ['Dense', 'ReLU', 'Dense'])
    """

    def __init__(self, layers: Iterable[Layer] = ()) -> None:
        self.layers = list(layers)
        for i, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                got = f"the class {layer.__name__}" if isinstance(layer, type) else repr(layer)
                raise TypeError(f"layer {i} must be a Layer object, got {got}")

    @property
    def needs_dx(self) -> bool:
        """Whether the first layer must compute dL/dx."""
        return self.layers[0].needs_dx if self.layers else True

    @needs_dx.setter
    def needs_dx(self, needed: bool) -> None:
        if self.layers:
            self.layers[0].needs_dx = needed

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Build each layer for the output shape of the one before."""
        for i, layer in enumerate(self.layers):
            try:
                layer.build(input_shape, rng)
            except _LOCATED as error:
                raise _located(error, i, layer, input_shape) from error
            input_shape = layer.output_shape

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the output of the last layer."""
        x = x if self.layers else x.copy()
        for i, layer in enumerate(self.layers):
            try:
                x = layer(x)
            except _LOCATED as error:
                raise _located(error, i, layer, np.shape(x)) from error
        return x

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Return dL/dx; add the gradient of every weight."""
        dx: Any = dy if self.layers else dy.copy()
        for i, layer in reversed(list(enumerate(self.layers))):
            try:
                dx = layer.backward(dx)
            except _LOCATED as error:
                raise _located(error, i, layer, np.shape(dx)) from error
        return dx

    def summary(self) -> str:
        """Return a table of the built layers: output shapes, parameters, MACs and bytes cached."""
        return summary_table(self, self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def __repr__(self) -> str:
        lines = "".join(f"    {line}\n" for layer in self.layers for line in f"{layer!r},".splitlines())
        return f"Sequential([\n{lines}])" if lines else "Sequential([])"


def _located(error: Exception, index: int, layer: Layer, shape: tuple[int, ...]) -> Exception:
    """Return the error with the layer's index, its class and the shape of its argument in the message."""
    kind = next(kind for kind in _LOCATED if isinstance(error, kind))
    return kind(f"layer {index} ({type(layer).__name__}), given {shape}: {error}")
