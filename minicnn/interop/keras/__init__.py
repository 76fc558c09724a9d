"""Keras: the course's LeNet-5, and models and weights that move between Keras and here."""

try:
    import keras  # noqa: F401 (whoever misses it is told so here, once)
except ImportError as error:
    raise ImportError(
        f"the Keras twins need Keras and TensorFlow: pip install 'minicnn-numpy[tensorflow]' ({error})"
    ) from error

from minicnn.interop.keras.from_keras import from_keras
from minicnn.interop.keras.net import lenet5
from minicnn.interop.keras.to_keras import to_keras
from minicnn.interop.keras.weights import copy_weights

__all__ = ["copy_weights", "from_keras", "lenet5", "to_keras"]
