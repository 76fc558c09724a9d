"""LeNet-5 as a graph of TensorFlow 1, as the course asks for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from minicnn.interop.tensorflow.net import check_dtype, check_weights, logits, weight_shapes

v1 = tf.compat.v1


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

    Raises
    ------
    TypeError
        If `x` or `y` is no tensor of a graph, or the images are neither float32 nor float64.
    ValueError
        If the images' size is unknown or too small, or the labels have another shape.

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
    _check_placeholders(x, y)
    number = x.dtype.as_numpy_dtype  # Adam would go by way of float32 with Python's numbers
    shapes = weight_shapes(x.shape[1:] if x.shape.rank else (), 10)
    with v1.name_scope("lenet5"):
        weights = [
            v1.Variable(scaling(shape, x.dtype) if len(shape) > 1 else tf.zeros(shape, x.dtype), name=name)
            for shape, name in zip(shapes, ["kernel", "bias"] * 5, strict=True)
        ]
        outputs, labels = logits(x, weights), tf.cast(y, x.dtype)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels, outputs))
        right = tf.equal(tf.argmax(outputs, axis=1), tf.argmax(labels, axis=1))
        accuracy = tf.reduce_mean(tf.cast(right, x.dtype))
        adam = v1.train.AdamOptimizer(number(1e-3), number(0.9), number(0.999), number(1e-8))
        train = adam.minimize(loss, var_list=weights)
        return tf.nn.softmax(outputs), train, loss, accuracy


def _check_placeholders(x: Any, y: Any) -> None:
    for name, tensor in (("x", x), ("y", y)):
        if not tf.is_symbolic_tensor(tensor):
            raise TypeError(
                f"`{name}` must be a tensor of a graph, a `tf.compat.v1.placeholder` for one, "
                f"got {type(tensor).__name__}"
            )
    check_dtype(x.dtype)
    if not y.shape.is_compatible_with((None, 10)):
        raise ValueError(f"`y` must be one-hot labels of shape (None, 10), got {y.shape}")


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
    check_weights(variables, weights)
    initializers = [variable.initializer for variable in variables]
    # What an initializer assigns is an input of it, and that can be fed.
    session.run(initializers, {i.inputs[1]: w for i, w in zip(initializers, weights, strict=True)})


def _variables(probabilities: Any) -> list[Any]:
    """Return the variables in the name scope of a tensor, in the order in which they were made."""
    scope = probabilities.name.rpartition("/")[0]
    graph = probabilities.graph
    variables = graph.get_collection(v1.GraphKeys.TRAINABLE_VARIABLES, f"{re.escape(scope)}/")
    if len(variables) != 10:
        raise ValueError(
            f"`probabilities` must be the tensor that `lenet5` returned, got {probabilities.name}"
        )
    return variables
