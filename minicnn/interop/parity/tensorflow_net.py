"""LeNet-5 for the comparison, in TensorFlow 2."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from minicnn.interop.tensorflow import LeNet5, layers


class Net:
    """LeNet-5 and its optimizer."""

    def __init__(self, weights: Sequence[np.ndarray], dtype: str) -> None:
        self.net = LeNet5(dtype=dtype)
        self.set_weights = self.net.set_weights
        self.set_weights(weights)

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """Train on one batch; return its loss."""
        return float(self.net.train_step(tf.constant(x), tf.constant(y, tf.int32)))

    def epoch(self, x: np.ndarray, y: np.ndarray, batch_size: int) -> None:
        """Train for one epoch, as a user would."""
        data = tf.data.Dataset.from_tensor_slices((x, y.astype(np.int32))).batch(batch_size)
        for images, labels in data.prefetch(1):
            loss = self.net.train_step(images, labels)
        loss.numpy()  # waits for the last step

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the logits."""
        return np.concatenate([self.net(tf.constant(part)).numpy() for part in np.array_split(x, 20)])

    def layers(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """Return each layer's output, dx, dkernel and dbias for a batch, by "INDEX QUANTITY"."""
        return layer_values(layers(self.net.weights), self.net.weights, x, y)


def layer_values(
    functions: Sequence[Any], weights: Sequence[Any], x: np.ndarray, y: np.ndarray
) -> dict[str, Any]:
    """Return the outputs and gradients of a chain of functions, by "INDEX QUANTITY".

    Parameters
    ----------
    functions : sequence of callables
        The layers of LeNet-5, in order.
    weights : sequence of variables
        Kernel and bias of the layers with weights, in order.
    """
    with tf.GradientTape() as tape:
        values = [tf.constant(x)]
        tape.watch(values[0])
        for function in functions:
            values.append(function(values[-1]))
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y.astype(np.int32), values[-1]))
    gradients = tape.gradient(loss, [*values[:-1], *weights])
    found = {f"{i} output": value.numpy() for i, value in enumerate(values[1:])}
    found |= {f"{i} dx": gradients[i].numpy() for i in range(len(functions))}
    for k, gradient in enumerate(gradients[len(functions) :]):
        found[f"{WEIGHTED[k // 2]} {'dbias' if k % 2 else 'dkernel'}"] = gradient.numpy()
    return found


WEIGHTED = (0, 3, 7, 9, 11)  # the layers of LeNet-5 with weights
