"""Keras on TensorFlow."""

from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import layers


class Peer:
    """LeNet-5 with the given weights, and Adam."""

    def __init__(self, weights: Sequence[np.ndarray], threads: int) -> None:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        self.model = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                layers.Conv2D(6, 5, padding="same", activation="relu"),
                layers.MaxPooling2D(2),
                layers.Conv2D(16, 5, activation="relu"),
                layers.MaxPooling2D(2),
                layers.Flatten(),
                layers.Dense(120, activation="relu"),
                layers.Dense(84, activation="relu"),
                layers.Dense(10),
            ]
        )
        self.model.set_weights(weights)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        self.model.compile(keras.optimizers.Adam(1e-3), loss)

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
