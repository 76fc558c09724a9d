"""LeNet-5 in TensorFlow without Keras: as a TensorFlow 1 graph and as a TensorFlow 2 module.

Both have the layers of `minicnn.models.lenet5`, and weights in the same order and shapes. They use `tf.nn`
operations on variables, since `tf.compat.v1.layers` does not exist with Keras 3.
"""

try:
    import tensorflow  # noqa: F401 - first, so that the error says how to install it
except ImportError as error:
    raise ImportError(
        f"minicnn.interop.tensorflow needs TensorFlow: pip install 'minicnn-numpy[tensorflow]' ({error})"
    ) from error

from minicnn.interop.tensorflow.graph import get_weights, lenet5, set_weights
from minicnn.interop.tensorflow.module import LeNet5
from minicnn.interop.tensorflow.net import layers

__all__ = ["LeNet5", "get_weights", "layers", "lenet5", "set_weights"]
