"""LeNet-5 in TensorFlow without Keras: as a graph of TensorFlow 1, and as a module of TensorFlow 2.

Both compute the same, layer for layer what `minicnn.models.lenet5` has, and take and give weights in the
same order and shapes. `tf.compat.v1.layers` does not exist beside Keras 3, so these are `tf.nn` operations on
variables.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.initializers import he_normal, zeros

try:
    import tensorflow as tf
except ImportError as error:
    raise ImportError(
        f"the TensorFlow twins need TensorFlow: pip install 'minicnn[tensorflow]' ({error})"
    ) from error

v1 = tf.compat.v1


def layers(weights: Sequence[Any]) -> list[Callable[[Any], Any]]:
    """Return the modified LeNet-5 as functions, one after the other, in the order of `minicnn.models.lenet5`.

    Parameters
    ----------
    weights : sequence of ten tensors or variables
        Kernel and bias of each of the five layers that have them.
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


def _logits(x: Any, weights: Sequence[Any]) -> Any:
    for layer in layers(weights):
        x = layer(x)
    return x


def _shapes(image: Sequence[int], classes: int) -> list[tuple[int, ...]]:
    """Return the shapes of the ten weights, for images (h, w, c)."""
    height, width, channels = image
    # A pooling halves; the second convolution takes four rows and columns.
    rows, columns = ((size // 2 - 4) // 2 for size in (height, width))
    if min(rows, columns) < 1:
        raise ValueError(f"images must have at least 12 rows and columns, got {height}x{width}")
    kernels = [(5, 5, channels, 6), (5, 5, 6, 16), (rows * columns * 16, 120), (120, 84), (84, classes)]
    return [shape for kernel in kernels for shape in (kernel, kernel[-1:])]


def lenet5(x: Any, y: Any, seed: int | None = None) -> tuple[Any, Any, Any, Any]:
    """Build LeNet-5 as a graph of TensorFlow 1, to be trained in a `tf.compat.v1.Session`.

    Kernels are he_normal by variance scaling. Adam has the default hyper-parameters of TensorFlow 1; its eps
    is 1e-8, where Keras and `minicnn.Adam` have 1e-7. That is no rounding error: from the same weights,
    losses with the one and the other differ by up to 28 % within 100 steps.

    Parameters
    ----------
    x : tf.compat.v1.placeholder, shape (None, h, w, 1)
        Images of 12x12 or more; the net computes in their dtype.
    y : tf.compat.v1.placeholder, shape (None, 10)
        One-hot labels, of any number type.
    seed : int, optional
        Of the kernels; without it `tf.compat.v1.set_random_seed` decides, if it was called.

    Returns
    -------
    probabilities : tf.Tensor, shape (None, 10)
        The softmax.
    train : tf.Operation
        One step of Adam.
    loss, accuracy : tf.Tensor
        Means over the batch: cross-entropy, and the share of right answers.

    Examples
    --------
    >>> with tf.Graph().as_default(), v1.Session() as session:
    ...     x = v1.placeholder(tf.float32, (None, 28, 28, 1))
    ...     y = v1.placeholder(tf.float32, (None, 10))
    ...     probabilities, train, loss, accuracy = lenet5(x, y)
    ...     _ = session.run(v1.global_variables_initializer())
    ...     _ = session.run(train, {x: np.zeros((1, 28, 28, 1)), y: np.eye(10)[:1]})
    ...     [weight.shape for weight in get_weights(probabilities, session)][:4]
    [(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,)]
    """
    scaling = v1.variance_scaling_initializer(2.0, "fan_in", "truncated_normal", seed)
    number = x.dtype.as_numpy_dtype  # Adam would go by way of float32 with Python's numbers
    with v1.name_scope("lenet5"):
        weights = [
            v1.Variable(scaling(shape, x.dtype) if len(shape) > 1 else tf.zeros(shape, x.dtype), name=name)
            for shape, name in zip(_shapes(x.shape[1:], 10), ["kernel", "bias"] * 5, strict=True)
        ]
        logits, labels = _logits(x, weights), tf.cast(y, x.dtype)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, logits))
        right = tf.equal(tf.argmax(logits, axis=1), tf.argmax(labels, axis=1))
        accuracy = tf.reduce_mean(tf.cast(right, x.dtype))
        adam = v1.train.AdamOptimizer(number(1e-3), number(0.9), number(0.999), number(1e-8))
        train = adam.minimize(loss, var_list=weights)
        return tf.nn.softmax(logits), train, loss, accuracy


def get_weights(probabilities: Any, session: Any) -> list[np.ndarray]:
    """Return the weights of a graph's `lenet5`, a list as `Layer.get_weights` has it.

    Parameters
    ----------
    probabilities : tf.Tensor
        The first thing that `lenet5` returned.
    session : tf.compat.v1.Session
        Where the net's variables are; they must be initialised.
    """
    return session.run(_variables(probabilities))


def set_weights(probabilities: Any, session: Any, weights: Sequence[np.ndarray]) -> None:
    """Copy `weights`, a list as `get_weights` returns it, into a graph's `lenet5`; all or, on an error, none.

    Nothing is added to the graph. Adam's state stays as it is.
    """
    variables = _variables(probabilities)
    _check(variables, weights)
    initializers = [variable.initializer for variable in variables]
    # What an initializer assigns is an input of it, and that can be fed.
    session.run(initializers, {i.inputs[1]: w for i, w in zip(initializers, weights, strict=True)})


def _variables(probabilities: Any) -> list[Any]:
    """Return the variables in the name scope of a tensor, in the order in which they were made."""
    scope = probabilities.name.rpartition("/")[0]
    return probabilities.graph.get_collection(v1.GraphKeys.TRAINABLE_VARIABLES, f"{re.escape(scope)}/")


def _check(variables: Sequence[Any], weights: Sequence[np.ndarray]) -> None:
    wanted, got = [tuple(v.shape) for v in variables], [np.shape(w) for w in weights]
    if wanted != got:
        raise ValueError(f"weights must have the shapes {wanted}, got {got}")


class LeNet5(tf.Module):
    """LeNet-5 for TensorFlow 2: a module with a compiled training step.

    With the same seed, it starts from the same weights as `minicnn.models.lenet5`.

    Parameters
    ----------
    input_shape : (int, int, int)
        Of one image.
    num_classes : int
        Number of logits.
    seed : int, optional
        Of the kernels, he_normal; None draws a fresh one.
    dtype : float32 or float64
        Of everything.
    lr, beta1, beta2, eps : float
        Adam's. The default eps is Keras's and ours; TensorFlow 1 has 1e-8.

    Examples
    --------
    >>> net = LeNet5(seed=0)
    >>> loss = net.train_step(np.zeros((2, 28, 28, 1), np.float32), np.array([3, 5]))
    >>> net(np.zeros((2, 28, 28, 1), np.float32)).shape
    TensorShape([2, 10])
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (28, 28, 1),
        num_classes: int = 10,
        seed: int | None = None,
        dtype: Any = "float32",
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-7,
    ) -> None:
        super().__init__()
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        rng = np.random.default_rng(seed)
        values = [
            (he_normal if len(shape) > 1 else zeros)(shape, rng)
            for shape in _shapes(input_shape, num_classes)
        ]
        self.weights = [tf.Variable(value, dtype=dtype) for value in values]
        # Of each weight, the running means of its gradient and of the gradient's square; and the steps made.
        self.m, self.v = ([tf.Variable(tf.zeros_like(w)) for w in self.weights] for _ in range(2))
        self.steps = tf.Variable(0, dtype=tf.int64)

    @tf.function(reduce_retracing=True)
    def __call__(self, x: Any) -> Any:
        """Return the logits, (N, num_classes), for images in the net's dtype."""
        return _logits(x, self.weights)

    @tf.function(reduce_retracing=True)
    def train_step(self, x: Any, labels: Any) -> Any:
        """Make one step of Adam for images (N, h, w, c) and class numbers (N,); return the loss before it."""
        with tf.GradientTape() as tape:
            logits = _logits(x, self.weights)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
        self._adam(tape.gradient(loss, self.weights))
        return loss

    def _adam(self, gradients: Sequence[Any]) -> None:
        dtype = self.weights[0].dtype
        self.steps.assign_add(1)
        t = tf.cast(self.steps, dtype)
        lr, beta1, beta2, eps = (tf.constant(x, dtype) for x in (self.lr, self.beta1, self.beta2, self.eps))
        rate = lr * tf.sqrt(1 - beta2**t) / (1 - beta1**t)
        for weight, m, v, gradient in zip(self.weights, self.m, self.v, gradients, strict=True):
            m.assign_add((1 - beta1) * (gradient - m))
            v.assign_add((1 - beta2) * (gradient * gradient - v))
            weight.assign_sub(rate * m / (tf.sqrt(v) + eps))

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the weights, a list as `Layer.get_weights` has it."""
        return [weight.numpy().copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Copy `weights`, a list as `get_weights` returns it, into the net; Adam's state stays as it is."""
        _check(self.weights, weights)
        for variable, value in zip(self.weights, weights, strict=True):
            variable.assign(np.asarray(value, variable.dtype.as_numpy_dtype))
