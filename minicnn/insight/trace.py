"""A Sequential run one layer at a time, so that everything between its layers can be seen, both ways."""

from __future__ import annotations

import copy
from typing import NamedTuple

import numpy as np

from minicnn.layers import Layer, Sequential
from minicnn.ops.scaling import to_float


class Trace:
    """A batch on its way through a copy of a model, layer by layer, and gradients on their way back.

    Parameters
    ----------
    model : Sequential
        Built. Nothing of it changes. The layers of a Sequential in it count one by one.
    x : ndarray, shape (N, ...)
        uint8 images, which are scaled to [0, 1], or floats.
    training : bool
        Whether layers compute as in training. By default they compute as for an answer, also on the way back:
        Dropout lets everything through, BatchNorm uses its running averages.

    Attributes
    ----------
    layers : list of Layer
        The copies, with the gradients of their weights after `backward`.
    x : ndarray
        The batch as floats.
    outputs : list of ndarray
        Of each layer.

    Raises
    ------
    ValueError
        If the batch is not of the model's shape; or, where it is not run as in training, if a layer that is
        made of layers has Dropout or BatchNorm in it, since their gradients are then not to be had.

    Examples
    --------
    >>> from minicnn import Dense, ReLU
    >>> model = Sequential([Dense(2), ReLU()]).build((1,), rng=0)
    >>> model[0].kernel.value = [[2.0, -2.0]]
    >>> trace = Trace(model, np.array([[3.0]]))
    >>> trace.outputs
    [array([[ 6., -6.]], dtype=float32), array([[6., 0.]], dtype=float32)]
    >>> trace.backward(np.ones((1, 2), np.float32))[0]  # of the outputs of Dense
    array([[1., 0.]], dtype=float32)
    >>> trace.dx
    array([[2.]], dtype=float32)
    """

    def __init__(self, model: Sequential, x: np.ndarray, training: bool = False) -> None:
        if model.input_shape is None:
            raise RuntimeError(
                "a model must be built before it is looked into: call build(input_shape) first"
            )
        if np.shape(x)[1:] != model.input_shape:
            raise ValueError(f"examples must have shape {model.input_shape}, got an array of {np.shape(x)}")
        self.layers = _flat(copy.deepcopy(model))  # a replica would share BatchNorm's running averages
        for layer in self.layers:
            layer.train(training or not _differs_in_training(layer)).zero_grad()
        self.x = x = to_float(x, model.dtype)
        self.outputs = [x := layer(x) for layer in self.layers]

    def backward(self, dy: np.ndarray) -> list[np.ndarray]:
        """Return the gradient with respect to each layer's output, and keep that of the batch in `dx`.

        Parameters
        ----------
        dy : ndarray, shape of the last output
            The gradient of whatever is asked about, with respect to the last output.
        """
        gradients = [dy]
        for layer, x in reversed(list(zip(self.layers, [self.x, *self.outputs], strict=False))):
            if layer.training:
                layer.needs_dx = True
                dy = layer.backward(dy)
            else:  # such layers multiply and add, each value by itself
                dy = dy * (layer(np.ones_like(x)) - layer(np.zeros_like(x)))
            gradients.append(dy)
        self.dx = gradients.pop()
        return gradients[::-1]


class Block(NamedTuple):
    """A layer with weights, and what follows it value by value: an activation, a normalisation.

    Attributes
    ----------
    name : str
        Of the layer with weights, as in the summary: "3 Conv2D".
    first, last : int
        Places of its layers.
    """

    name: str
    first: int
    last: int


def blocks(model: Sequential) -> list[Block]:
    """Return the model's blocks; layers that change the shape, such as pooling, are in none.

    Examples
    --------
    >>> from minicnn.models import lenet5
    >>> blocks(lenet5().build((28, 28, 1), rng=0))[:2]
    [Block(name='0 Conv2D', first=0, last=1), Block(name='3 Conv2D', first=3, last=4)]
    """
    layers, found = _flat(model), []
    places = [i for i, layer in enumerate(layers) if len(layer.output_shape) and _has_kernel(layer)]
    for first, end in zip(places, [*places[1:], len(layers)], strict=True):
        last = first
        while last + 1 < end and layers[last + 1].output_shape == layers[first].output_shape:
            last += 1
        found.append(Block(f"{first} {type(layers[first]).__name__}", first, last))
    return found


def _has_kernel(layer: Layer) -> bool:
    """Whether the layer has weights that mix values, not only such as scale each by itself."""
    return any(parameter.trainable and parameter.value.ndim > 1 for parameter in layer.parameters())


def _flat(layer: Layer) -> list[Layer]:
    return [part for one in layer for part in _flat(one)] if isinstance(layer, Sequential) else [layer]


def _differs_in_training(layer: Layer) -> bool:
    """Whether the layer computes something else in training: at random, or from the whole batch."""
    parts = [part for _, part in layer.named_layers()]
    differs = bool(layer.generators()) or any(part.batch_dependent for part in (layer, *parts))
    if differs and parts:
        raise ValueError(
            f"a layer that is made of layers must be without Dropout and BatchNorm to be looked into, "
            f"got {type(layer).__name__}"
        )
    return differs
