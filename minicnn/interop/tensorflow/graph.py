"""LeNet-5 as a TensorFlow 1 graph."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from minicnn.interop.tensorflow.net import check_dtype, check_weights, logits, weight_shapes

v1 = tf.compat.v1


def lenet5(x: Any, y: Any, seed: int | None = None) -> tuple[Any, Any, Any, Any]:
    """Build LeNet-5 as a TensorFlow 1 graph, to be trained in a `tf.compat.v1.Session`.

    Kernels are he_normal by variance scaling. Adam has TensorFlow 1's default hyper-parameters. Its eps is
    1e-8, that of Keras and `minicnn.Adam` is 1e-7, which matters: from the same weights, the losses with the
    two differ by up to 28 % within 100 steps.

    Parameters
    ----------
    x : tf.compat.v1.placeholder, shape (None, h, w, 1)
        Images of 12x12 or more; the network computes in their dtype.
    y : tf.compat.v1.placeholder, shape (None, 10)
        One-hot labels, of any number type.
    seed : int, optional
        Seed of the kernels; by default that of `tf.compat.v1.set_random_seed`, if it was called.

    Returns
    -------
    probabilities : tf.Tensor, shape (None, 10)
        The softmax.
    train : tf.Operation
        One Adam step.
    loss, accuracy : tf.Tensor
        Means over the batch: cross-entropy and accuracy.

    Raises
    ------
    TypeError
        If `x` or `y` is not a graph tensor, or the images are neither float32 nor float64.
    ValueError
        If the image size is unknown or too small, or the labels have another shape.

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
    scalar = x.dtype.as_numpy_dtype  # Adam would round Python floats to float32
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
        adam = v1.train.AdamOptimizer(scalar(1e-3), scalar(0.9), scalar(0.999), scalar(1e-8))
        train = adam.minimize(loss, var_list=weights)
        return tf.nn.softmax(outputs), train, loss, accuracy


def _check_placeholders(x: Any, y: Any) -> None:
    for name, tensor in (("x", x), ("y", y)):
        if not tf.is_symbolic_tensor(tensor):
            raise TypeError(
                f"`{name}` must be a graph tensor such as a `tf.compat.v1.placeholder`, "
                f"got {type(tensor).__name__}"
            )
    check_dtype(x.dtype)
    if not y.shape.is_compatible_with((None, 10)):
        raise ValueError(f"`y` must be one-hot labels of shape (None, 10), got {y.shape}")


def get_weights(probabilities: Any, session: Any) -> list[np.ndarray]:
    """Return the weights of a `lenet5` graph in the form of `Layer.get_weights`.

    Parameters
    ----------
    probabilities : tf.Tensor
        The first output of `lenet5`.
    session : tf.compat.v1.Session
        The session with the initialized variables.
    """
    return session.run(_variables(probabilities))


def set_weights(probabilities: Any, session: Any, weights: Sequence[np.ndarray]) -> None:
    """Copy `weights`, as returned by `get_weights`, into a `lenet5` graph; on an error, none is copied.

    Nothing is added to the graph, and Adam's state is not changed.
    """
    variables = _variables(probabilities)
    check_weights(variables, weights)
    initializers = [variable.initializer for variable in variables]
    # The value that an initializer assigns is one of its inputs, which can be fed.
    session.run(initializers, {i.inputs[1]: w for i, w in zip(initializers, weights, strict=True)})


def _variables(probabilities: Any) -> list[Any]:
    """Return the variables in the name scope of a tensor, in the order of their creation."""
    scope = probabilities.name.rpartition("/")[0]
    graph = probabilities.graph
    variables = graph.get_collection(v1.GraphKeys.TRAINABLE_VARIABLES, f"{re.escape(scope)}/")
    if len(variables) != 10:
        raise ValueError(
            f"`probabilities` must be the tensor that `lenet5` returned, got {probabilities.name}"
        )
    return variables
