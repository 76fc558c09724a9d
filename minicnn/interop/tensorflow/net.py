"""The layers and weight shapes that the graph and the module share."""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from minicnn.interop.images import image_shape


def layers(weights: Sequence[Any]) -> list[Callable[[Any], Any]]:
    """Return the layers of the modified LeNet-5 as functions, in the order of `minicnn.models.lenet5`.

    Parameters
    ----------
    weights : sequence of ten tensors or variables
        Kernel and bias of each of the five layers with weights.
    """
    kernels, biases = weights[::2], weights[1::2]

    def conv(i: int, padding: str) -> Callable[[Any], Any]:
        return lambda x: tf.nn.conv2d(x, kernels[i], 1, padding) + biases[i]

    def pool(x: Any) -> Any:
        return tf.nn.max_pool2d(x, 2, 2, "VALID")

    def flatten(x: Any) -> Any:
        return tf.reshape(x, [-1, math.prod(x.shape[1:])])

    def dense(i: int) -> Callable[[Any], Any]:
        return lambda x: tf.matmul(x, kernels[i]) + biases[i]

    relu = tf.nn.relu
    convolutions = [conv(0, "SAME"), relu, pool, conv(1, "VALID"), relu, pool]
    return [*convolutions, flatten, dense(2), relu, dense(3), relu, dense(4)]


def logits(x: Any, weights: Sequence[Any]) -> Any:
    """Return the output of the last layer."""
    for layer in layers(weights):
        x = layer(x)
    return x


def weight_shapes(image: Iterable[Any], classes: int) -> list[tuple[int, ...]]:
    """Return the shapes of the ten weights, for images (h, w, c)."""
    height, width, channels = image_shape(image)
    # Each pooling halves the size; the second convolution removes four rows and columns.
    rows, columns = ((size // 2 - 4) // 2 for size in (height, width))
    kernels = [(5, 5, channels, 6), (5, 5, 6, 16), (rows * columns * 16, 120), (120, 84), (84, classes)]
    return [shape for kernel in kernels for shape in (kernel, kernel[-1:])]


def check_weights(variables: Sequence[Any], weights: Sequence[np.ndarray]) -> None:
    """Raise ValueError unless the weights have the shapes of the variables."""
    wanted, got = [tuple(v.shape) for v in variables], [np.shape(w) for w in weights]
    if wanted != got:
        raise ValueError(f"weights must have the shapes {wanted}, got {got}")


def check_dtype(dtype: Any) -> None:
    """Raise TypeError unless the dtype is float32 or float64."""
    if tf.as_dtype(dtype) not in (tf.float32, tf.float64):  # in float16 Adam's eps would be 0
        raise TypeError(f"the dtype must be float32 or float64, got {tf.as_dtype(dtype).name}")
