"""Layers applied one after the other: what Sequential, Residual and Concatenate share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minicnn.errors import LOCATED, with_place
from minicnn.layers import _exchange, _folding
from minicnn.layers._freezing import require_gradients
from minicnn.layers.base import Layer
from minicnn.ops.underflow import HARMLESS


class Chain(Layer):
    """The passes through layers applied one after the other.

    Sequential inherits them. A layer with several chains keeps them as lists, which names their weights
    "layers.0.kernel", and makes a Chain of a list for each pass.

    Parameters
    ----------
    layers : Layer or iterable of Layer
        In order of application.
    """

    def __init__(self, layers: Layer | Iterable[Layer] = ()) -> None:
        single = isinstance(layers, Layer) or not np.iterable(layers)
        self.layers: list[Layer] = [layers] if single else list(layers)  # type: ignore[list-item, arg-type]
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
        require_gradients(self.layers, needed)

    def unbuilt_part(self) -> str:
        """Return which layer must be built, or again because it was replaced; empty if none."""
        return super().unbuilt_part() or unfitting_layer(self.layers, self.input_shape, self.output_shape)

    def _require_built(self) -> tuple[int, ...]:
        shape = super()._require_built()
        if unfit := unfitting_layer(self.layers, shape, self.output_shape):
            raise RuntimeError(f"{unfit} was replaced after the model was built: call build({shape}) again")
        return shape

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Build each layer for the output shape of the one before."""
        for i, layer in enumerate(self.layers):
            try:
                layer.build(input_shape, rng)
            except LOCATED as error:
                raise _located(error, i, layer, input_shape) from error
            input_shape = layer.output_shape

    def _shape_from_parts(self, input_shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the output shape of layers that are built for this input shape."""
        return self.layers[-1].output_shape if self.layers else input_shape

    @HARMLESS
    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the output of the last layer."""
        x = x if self.layers else x.copy()
        layers = iter(enumerate(self.layers))
        for i, layer in layers:
            y = self._with_next(i, x)
            if y is not None:
                x, _ = y, next(layers)
                continue
            try:
                x = layer(x)
            except LOCATED as error:
                raise _located(error, i, layer, np.shape(x)) from error
        return x

    def _with_next(self, i: int, x: np.ndarray) -> np.ndarray | None:
        """Return the output of layer i and the next if they are faster together; None if they are not."""
        if i == len(self.layers) - 1:
            return None
        layer, following = self.layers[i : i + 2]
        if layer.commutes_with_max and i > 0:  # x of the first is the caller's
            return _exchange.forward(layer, following, x)
        if layer._scaled_forward is not None:
            return _folding.forward(layer, following, x)
        return None

    @HARMLESS
    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Return dL/dx; add the gradient of every weight."""
        dx: Any = dy if self.layers else dy.copy()
        layers = reversed(list(enumerate(self.layers)))
        for i, layer in layers:
            if not layer.needs_backward:
                return None
            if layer.takes_max and i > 1:
                exchanged = _exchange.backward(self.layers[i - 1], layer, dx)
                if exchanged is not None:
                    dx, _ = exchanged, next(layers)
                    continue
            try:
                dx = layer.backward(dx)
            except LOCATED as error:
                raise _located(error, i, layer, np.shape(dx)) from error
        return dx


def unfitting_layer(
    layers: Sequence[Layer], input_shape: tuple[int, ...] | None, output_shape: tuple[int, ...]
) -> str:
    """Return the first layer that was not built for the output of the one before; empty if all were."""
    shape = input_shape
    for i, layer in enumerate(layers):
        if layer.input_shape != shape:
            return f"layer {i} ({type(layer).__name__})"
        shape = layer.output_shape
    return f"the last layer ({type(layers[-1]).__name__})" if layers and shape != output_shape else ""


def repr_lists(items: Sequence[Any]) -> str:
    """Return the code of a list of layers, or of lists of them, with a line for each layer."""
    texts = [repr_lists(item) if isinstance(item, list) else repr(item) for item in items]
    lines = "".join(f"    {line}\n" for text in texts for line in f"{text},".splitlines())
    return f"[\n{lines}]" if lines else "[]"


def _located(error: Exception, index: int, layer: Layer, shape: tuple[int, ...]) -> Exception:
    """Return the error with the layer's index, its class and the shape of its argument in the message."""
    return with_place(error, f"layer {index} ({type(layer).__name__}), given {shape}: ")
