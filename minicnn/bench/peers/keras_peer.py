"""Keras on TensorFlow."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers


class OwnReLU(layers.Layer):
    """ReLU as a user writes it."""

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return the positive part."""
        return tf.maximum(x, 0.0)


def own_loss(labels: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Return softmax cross-entropy, as a user writes it."""
    shifted = logits - tf.reduce_max(logits, axis=1, keepdims=True)
    own = tf.gather(shifted, tf.cast(tf.reshape(labels, [-1]), tf.int32), batch_dims=1)
    return tf.reduce_logsumexp(shifted, axis=1) - own


MAKE: dict[str, Callable] = {
    "conv": lambda filters, size, padding: layers.Conv2D(filters, size, padding=padding),
    "depthwise": lambda channels, size: layers.DepthwiseConv2D(size, padding="same"),
    "batch_norm": layers.BatchNormalization,
    "group_norm": layers.GroupNormalization,
    "relu": layers.ReLU,
    "own_relu": OwnReLU,
    "max_pool": lambda: layers.MaxPooling2D(2),
    "flatten": layers.Flatten,
    "dense": layers.Dense,
}
WEIGHTED = ("conv", "depthwise", "dense")


def make_model(net: Mapping[str, Any], weights: Sequence[np.ndarray]) -> keras.Model:
    """Return a net with the given weights."""
    made = [MAKE[layer["kind"]](*layer["settings"]) for layer in net["layers"]]
    model = keras.Sequential([keras.Input(net["input_shape"]), *made])
    given = iter(weights)
    for layer, description in zip(made, net["layers"], strict=True):
        if description["kind"] in WEIGHTED:
            layer.set_weights([next(given).reshape(weight.shape) for weight in layer.weights])
    return model


class Peer:
    """A net with the given weights, and Adam."""

    def __init__(self, net: Mapping[str, Any], weights: Sequence[np.ndarray], threads: int) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        self.model = make_model(net, weights)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.Adam(1e-3), own_loss if net["own_loss"] else loss)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Return floats in [0, 1]."""
        return np.divide(images, 255, dtype=np.float32)

    def epoch(self, x: np.ndarray, y: np.ndarray, batch_size: int, order: np.ndarray | None) -> None:
        """Train for one epoch, in this order."""
        if order is not None:
            x, y = x[order], y[order]
        self.model.fit(x, y, batch_size, shuffle=order is None, verbose=0)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the logits."""
        return self.model.predict(x, batch_size=256, verbose=0)

    def predict_one(self, x: np.ndarray) -> Callable:
        """Return a function that calls `predict`."""
        return lambda: self.model.predict(x, verbose=0)

    def call_one(self, x: np.ndarray) -> Callable:
        """Return a function that calls the model and returns an array."""
        return lambda: self.model(x).numpy()

    def conv(
        self, x: np.ndarray, filters: int, kernel_size: int, strides: int, pad: int
    ) -> dict[str, Callable]:
        """Return a function that runs forward and backward as one graph."""
        layer = layers.Conv2D(filters, kernel_size, strides, "same" if pad else "valid")
        images = tf.constant(x)
        ones = tf.ones_like(layer(images))

        @tf.function
        def step(images: tf.Tensor, dy: tf.Tensor) -> list[tf.Tensor]:
            with tf.GradientTape() as tape:
                tape.watch(images)
                y = layer(images)
            # With y, which no gradient needs: TensorFlow removes operations whose results are unused.
            return [y, *tape.gradient(y, [images, *(weight.value for weight in layer.weights)], dy)]

        return {"": lambda: step(images, ones)[1][0, 0, 0, 0].numpy()}  # waits for the end
