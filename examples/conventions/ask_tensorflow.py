"""What the table says of TensorFlow and Keras: (claim, what they compute, what we do or the table says)."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from ours import our_steps

from minicnn import SGD, Adam, AdamW
from minicnn.ops import conv2d, local_response_norm

VERSIONS = f"TensorFlow {tf.__version__}, Keras {keras.__version__}"
ROW = np.arange(1.0, 7.0, dtype=np.float32).reshape(1, 1, 6, 1)
ZEROS = np.zeros((1, 2, 2, 1), np.float32)
V1 = tf.compat.v1


def claims() -> Iterator[tuple[str, Any, Any]]:
    """Yield all of them."""
    yield from windows()
    yield from slopes()
    yield from optimizers()
    yield from layers()
    yield from losses()


def windows() -> Iterator[tuple[str, Any, Any]]:
    """Ask for padding, order of axes, and defaults of windows."""
    for size, stride in ((3, 2), (4, 1), (2, 1), (5, 2)):
        kernel = 10.0 ** np.arange(size, dtype=np.float32).reshape(1, size, 1, 1)
        theirs = tf.nn.conv2d(ROW, kernel, [1, stride], "SAME")
        yield (
            f'"same" of {size} cells, stride {stride}, is ours; no flip',
            theirs,
            conv2d(ROW, kernel, None, (1, stride), "same"),
        )
    pool = keras.layers
    yield "padded cells never win a maximum", pool.MaxPooling2D(3, 1, "same")(ZEROS - 1), -1
    yield "padded cells do not count in a mean", pool.AveragePooling2D(3, 1, "same")(ZEROS + 1), 1
    yield "pooling steps by its window", pool.MaxPooling2D(3)(np.ones((1, 9, 9, 1))).shape[1], 3
    yield (
        "ZeroPadding2D is rows, then columns",
        pool.ZeroPadding2D(((1, 2), (3, 4)))(ZEROS).shape[1:3],
        (5, 9),
    )
    conv, dense = keras.layers.Conv2D(8, (5, 4)), keras.layers.Dense(8)
    conv.build((None, 9, 9, 3)), dense.build((None, 3))
    yield "kernels are (h, w, in, out)", tuple(conv.kernel.shape), (5, 4, 3, 8)
    yield "dense kernels are (in, out)", tuple(dense.kernel.shape), (3, 8)


def slopes() -> Iterator[tuple[str, Any, Any]]:
    """Ask for slopes where there is none."""
    yield "max pooling: first of the tied", slope(keras.layers.MaxPooling2D(2), ZEROS).ravel(), (1, 0, 0, 0)
    yield "reduce_max: shared", slope(lambda x: tf.reduce_max(x, (1, 2)), ZEROS), 0.25
    yield "GlobalMaxPooling2D: shared", slope(keras.layers.GlobalMaxPooling2D(), ZEROS), 0.25
    yield "relu at 0: slope 0", slope(tf.nn.relu, 0.0), 0
    yield "maximum(x, 0) at 0: slope 1", slope(lambda x: tf.maximum(x, 0.0), 0.0), 1
    yield "maximum(0, x) at 0: slope 0", slope(lambda x: tf.maximum(0.0, x), 0.0), 0
    yield "LeakyReLU: 0.3", keras.layers.LeakyReLU().negative_slope, 0.3
    yield "leaky_relu: 0.2", slope(tf.nn.leaky_relu, -1.0), 0.2
    prelu = keras.layers.PReLU()
    prelu.build((None, 2, 3, 4))
    yield "PReLU: 0 for each value", prelu.get_weights()[0], np.zeros((2, 3, 4))
    yield "GELU: with erf", keras.activations.gelu(tf.constant(1.0)), 0.8413447


def optimizers() -> Iterator[tuple[str, Any, Any]]:
    """Ask for steps of one weight, which begins at 1."""
    rates, grads, tiny = (0.1, 0.01, 0.01), (1.0, 0.0, 0.0), (1e-8, 1e-8, 1e-8)
    theirs = keras.optimizers
    yield "Adam is ours", moves(keras_steps(theirs.Adam(1e-3), tiny)), moves(our_steps(Adam(1e-3), tiny))
    expected = moves(our_steps(Adam(1e-3, eps=1e-8), tiny))
    yield (
        "TensorFlow 1's Adam is ours of eps=1e-8",
        moves(v1_steps(V1.train.AdamOptimizer, tiny, [1e-3] * 3)),
        expected,
    )
    yield (
        "Adam's decay is decoupled",
        keras_steps(theirs.Adam(0.1, weight_decay=0.1), (0.0, 0.0)),
        (0.99, 0.9801),
    )
    yield "AdamW is ours", keras_steps(theirs.AdamW(0.1), grads), our_steps(AdamW(0.1), grads)
    yield "L2(c) has the slope 2 c w", slope(keras.regularizers.L2(0.1), 3.0), 0.6
    ours = our_steps(SGD(0.1, momentum=0.9), grads, rates)
    yield "momentum is ours: 0.9, 0.81, 0.729", ours, (0.9, 0.81, 0.729)
    yield "momentum is ours", keras_steps(theirs.SGD(0.1, momentum=0.9), grads, rates), ours
    make = lambda rate: V1.train.MomentumOptimizer(rate, 0.9)  # noqa: E731
    yield "TensorFlow 1's momentum is PyTorch's", v1_steps(make, grads, rates), (0.9, 0.891, 0.8829)
    yield (
        "RMSprop: rho 0.9, eps under the root",
        keras_steps(theirs.RMSprop(0.1, epsilon=0.5), (1.0,)),
        1 - 0.1 / 0.6**0.5,
    )


def layers() -> Iterator[tuple[str, Any, Any]]:
    """Ask for normalisation, first weights and dropout."""
    norm = keras.layers.BatchNormalization()
    norm(np.array([1, 3], np.float32).reshape(2, 1, 1, 1), training=True)
    yield "BatchNormalization: momentum, eps", (norm.momentum, norm.epsilon), (0.99, 1e-3)
    yield (
        "BatchNormalization: running mean, biased variance",
        [w.numpy()[0] for w in norm.weights[2:]],
        (0.02, 1.0),
    )
    images = np.array([1, 3], np.float32).reshape(2, 1, 1, 1)
    yield "TensorFlow 1's fused one: unbiased", V1.nn.fused_batch_norm(images, [1.0], [0.0])[2], 2
    yield "LayerNormalization: eps", keras.layers.LayerNormalization().epsilon, 1e-3
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 12)).astype(np.float32)
    theirs = tf.nn.local_response_normalization(x, depth_radius=2, bias=2.0, alpha=1e-4, beta=0.75)
    yield "local response: radius, alpha of the sum", theirs, local_response_norm(x)
    theirs = tf.nn.local_response_normalization(x)
    ours = local_response_norm(x, 11, 1.0, 1.0, 0.5)
    yield "local response: 11 channels, 1, 1, 0.5", theirs, ours
    dense = keras.layers.Dense(100)
    dense.build((None, 300))
    limit = (6 / 400) ** 0.5
    yield "kernels: glorot_uniform", (np.abs(dense.kernel).max() / limit).round(2), 1
    yield "biases: zeros", dense.bias, 0
    yield (
        "HeNormal is cut",
        bool(np.abs(keras.initializers.HeNormal()((300, 300))).max() < 2.3 * (2 / 300) ** 0.5),
        True,
    )
    ones = np.ones(1000, np.float32)
    yield "Dropout is inverted", np.unique(keras.layers.Dropout(0.25)(ones, training=True)), (0, 4 / 3)
    yield "a layer is in evaluation by default", keras.layers.Dropout(0.25)(ones), 1
    kept = V1.nn.dropout(ones, keep_prob=0.75)
    yield "TensorFlow 1 has what is kept", np.mean(kept.numpy() > 0).round(1) >= 0.7, True


def losses() -> Iterator[tuple[str, Any, Any]]:
    """Ask what is averaged, and over what."""
    logits, labels = np.array([[2, 1, -1], [0, 0, 3]], np.float32), np.array([0, 1])
    loss = keras.losses.SparseCategoricalCrossentropy
    each = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits).numpy()
    yield "tf.nn: not averaged", each.shape, (2,)
    yield "Keras: mean over the batch", loss(from_logits=True)(labels, logits), each.mean()
    yield "Keras wants probabilities", loss()(labels, tf.nn.softmax(logits)), each.mean()
    weighted = loss(from_logits=True)(labels, logits, sample_weight=np.array([1.0, 3.0]))
    yield "sample weights: divided by N", weighted, (each * [1, 3]).sum() / 2
    mse = keras.losses.MeanSquaredError()
    yield "squared error of (3,) and (3, 1): squeezed", mse(np.arange(3.0), np.arange(3.0)[:, None]), 0
    yield "tf.nn.l2_loss: half a sum", tf.nn.l2_loss(np.array([2.0, 2.0])), 4


def slope(function: Callable, x: Any) -> np.ndarray:
    """Return the derivative that TensorFlow finds."""
    x = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = tf.reduce_sum(function(x))
    return tape.gradient(y, x).numpy()


def keras_steps(optimizer: Any, grads: tuple, rates: tuple | None = None) -> np.ndarray:
    """Return a weight after each step."""
    weight, values = keras.Variable(np.float64(1), dtype="float64"), []
    optimizer.build([weight])
    for number, grad in enumerate(grads):
        optimizer.learning_rate = rates[number] if rates else optimizer.learning_rate
        optimizer.apply([tf.constant(grad, tf.float64)], [weight])
        values.append(float(weight.numpy()))
    return np.array(values)


def v1_steps(make: Callable, grads: tuple, rates: Any) -> np.ndarray:
    """Return a weight after each step of an optimizer of TensorFlow 1."""
    with tf.Graph().as_default(), V1.Session() as session:
        weight = V1.get_variable("weight", initializer=np.float64(1))
        rate, grad = V1.placeholder(tf.float64, ()), V1.placeholder(tf.float64, ())
        step = make(rate).apply_gradients([(grad, weight)])
        session.run(V1.global_variables_initializer())
        return np.array(
            [
                (session.run(step, {grad: g, rate: r}), session.run(weight))[1]
                for g, r in zip(grads, rates, strict=True)
            ]
        )


def moves(values: np.ndarray) -> np.ndarray:
    """Return how far a weight is from 1, in millionths: a tiny step is not to be lost in the tolerance."""
    return (1 - values) * 1e6
