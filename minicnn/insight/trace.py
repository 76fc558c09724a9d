"""Forward and backward passes one layer at a time, to inspect everything between the layers."""

import copy
from typing import Any, NamedTuple

import numpy as np

from minicnn.insight.evaluation_gradients import differentiate_in_evaluation
from minicnn.layers import Layer, Sequential
from minicnn.ops.underflow import HARMLESS
from minicnn.safeguards.claims import reading
from minicnn.safeguards.inputs import to_input
from minicnn.safeguards.nonfinite import Explained


class Trace:
    """The forward pass of a batch through a copy of a model, layer by layer, and its backward pass.

    Parameters
    ----------
    model : Sequential
        A built model, which is not changed. Nested Sequential are flattened; Residual and Concatenate are
        single layers.
    x : ndarray, shape (N, ...)
        uint8 images, which are scaled to [0, 1], or floats.
    training : bool
        Whether to run in training mode. By default both passes are those of evaluation mode: Dropout is the
        identity, BatchNorm uses its running averages.

    Attributes
    ----------
    layers : list of Layer
        The copies, with the gradients of their weights after `backward`.
    x : ndarray
        The batch as floats.
    outputs : list of ndarray
        Output of each layer.
    dx : ndarray
        Gradient with respect to the batch; 0 before `backward`.

    Raises
    ------
    ValueError
        If the batch has another shape than the model's input.

    Examples
    --------
    >>> from minicnn import Dense, ReLU
    >>> model = Sequential([Dense(2), ReLU()]).build((1,), rng=0)
    >>> model[0].kernel.value = [[2.0, -2.0]]
    >>> trace = Trace(model, np.array([[3.0]]))
    >>> trace.outputs
    [array([[ 6., -6.]], dtype=float32), array([[6., 0.]], dtype=float32)]
    >>> trace.backward(np.ones((1, 2), np.float32))[0]  # with respect to the output of Dense
    array([[1., 0.]], dtype=float32)
    >>> trace.dx
    array([[2.]], dtype=float32)
    """

    def __init__(self, model: Sequential, x: np.ndarray, training: bool = False) -> None:
        if model.input_shape is None:
            raise RuntimeError("the model is not built: call build(input_shape) first")
        if np.shape(x)[1:] != model.input_shape:
            raise ValueError(f"`x` must have shape {('N', *model.input_shape)}, got {np.shape(x)}")
        with reading(model):
            model = copy.deepcopy(model)  # a replica would share BatchNorm's running averages
        model.needs_dx = True
        self.layers = unnested(model)
        for layer in self.layers:
            layer.train().zero_grad()
            if not training:
                differentiate_in_evaluation(layer)
        self.x = x = to_input(model, x)
        with Explained("Trace", model):
            self.outputs = [x := layer(x) for layer in self.layers]
        self.dx = np.zeros_like(self.x)

    @HARMLESS
    def backward(self, dy: np.ndarray) -> list[np.ndarray]:
        """Return the gradients with respect to the layers' outputs; `dx` becomes that of the batch.

        Parameters
        ----------
        dy : ndarray, shape of the last output
            The gradient with respect to the last output.

        Raises
        ------
        ValueError
            In evaluation mode, if a layer of your own that draws random numbers or needs the whole batch
            does not give the gradients of that mode, which finite differences show.
        """
        gradients: list[Any] = [dy]
        with Explained("Trace.backward"):
            for layer in reversed(self.layers):
                gradients.append(layer.backward(gradients[-1]))
        self.dx = gradients.pop()
        return gradients[::-1]


class Block(NamedTuple):
    """A layer with weights, together with the elementwise layers after it (activation, normalization).

    Attributes
    ----------
    name : str
        Name of the layer with weights, as in the summary: "3 Conv2D".
    first, last : int
        Indices of its layers.
    """

    name: str
    first: int
    last: int


def blocks(model: Sequential) -> list[Block]:
    """Return the blocks of a model; layers that change the shape, such as pooling, belong to none.

    Examples
    --------
    >>> from minicnn.models import lenet5
    >>> blocks(lenet5().build((28, 28, 1), rng=0))[:2]
    [Block(name='0 Conv2D', first=0, last=1), Block(name='3 Conv2D', first=3, last=4)]
    """
    layers, found = unnested(model), []
    places = [i for i, layer in enumerate(layers) if len(layer.output_shape) and _has_kernel(layer)]
    for first, end in zip(places, [*places[1:], len(layers)], strict=True):
        last = first
        while last + 1 < end and layers[last + 1].output_shape == layers[first].output_shape:
            last += 1
        found.append(Block(f"{first} {type(layers[first]).__name__}", first, last))
    return found


def _has_kernel(layer: Layer) -> bool:
    """Whether the layer has weights that combine values, not only scale each."""
    return any(
        not parameter.is_statistic and parameter.value.ndim > 1 and parameter.shape != layer.input_shape
        for parameter in layer.parameters()
    )


def unnested(layer: Layer) -> list[Layer]:
    """Return the layers of a Sequential, with those of nested ones in their place; another layer alone."""
    return [part for one in layer for part in unnested(one)] if isinstance(layer, Sequential) else [layer]
