"""LeNet-5 in Keras, and conversion of models and weights between Keras and minicnn."""

try:
    import keras  # noqa: F401 - first, so that the error says how to install it
except ImportError as error:
    raise ImportError(
        f"minicnn.interop.keras needs Keras and TensorFlow: pip install 'minicnn-numpy[tensorflow]' ({error})"
    ) from error

from minicnn.interop.keras.from_keras import from_keras
from minicnn.interop.keras.net import lenet5
from minicnn.interop.keras.to_keras import to_keras
from minicnn.interop.keras.weights import copy_weights

__all__ = ["copy_weights", "from_keras", "lenet5", "to_keras"]
