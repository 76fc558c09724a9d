"""LeNet-5 for the comparison, in Keras."""

from collections.abc import Sequence

import keras
import numpy as np

from minicnn.interop.keras import lenet5


class Net:
    """LeNet-5 and its optimizer."""

    def __init__(self, weights: Sequence[np.ndarray], dtype: str) -> None:
        keras.config.set_floatx(dtype)
        self.model = lenet5(keras.Input((28, 28, 1), dtype=dtype))
        self.set_weights = self.model.set_weights
        self.set_weights(weights)
        scalar = np.float64 if dtype == "float64" else float  # Keras rounds Python floats to float32
        adam = keras.optimizers.Adam(*map(scalar, (1e-3, 0.9, 0.999, 1e-7)))
        self.model.compile(adam, loss="sparse_categorical_crossentropy")

    def step(self, x: np.ndarray, y: np.ndarray) -> float:
        """Train on one batch; return its loss."""
        self.model.reset_metrics()  # otherwise Keras returns the mean over all steps
        return float(self.model.train_on_batch(x, y, return_dict=True)["loss"])

    def epoch(self, x: np.ndarray, y: np.ndarray, batch_size: int) -> None:
        """Train for one epoch, as a user would."""
        self.model.fit(x, y, batch_size, verbose=0)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the probabilities."""
        return self.model.predict(x, batch_size=500, verbose=0)

    def layers(self, x: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
        """Return each layer's output and gradients, see `tensorflow_net.Net.layers`."""
        from minicnn import models
        from minicnn.interop.keras import copy_weights, to_keras
        from minicnn.interop.parity.tensorflow_net import layer_values

        # The same network with activations as separate layers, and without the softmax.
        ours = models.lenet5().build((28, 28, 1), dtype=x.dtype)
        copy_weights(self.model, ours)
        twin = to_keras(ours)
        weights = [weight.value for weight in twin.weights]
        return layer_values(twin.layers[1:], weights, x, y)
