"""LeNet-5 in TensorFlow without Keras: as a graph of TensorFlow 1, and as a module of TensorFlow 2.

Both compute the same, layer for layer what `minicnn.models.lenet5` has, and take and give weights in the
same order and shapes. `tf.compat.v1.layers` does not exist beside Keras 3, so these are `tf.nn` operations on
variables.
"""

try:
    import tensorflow  # noqa: F401 (whoever misses it is told so here, once)
except ImportError as error:
    raise ImportError(
        f"the TensorFlow twins need TensorFlow: pip install 'minicnn-numpy[tensorflow]' ({error})"
    ) from error

from minicnn.interop.tensorflow.graph import get_weights, lenet5, set_weights
from minicnn.interop.tensorflow.module import LeNet5
from minicnn.interop.tensorflow.net import layers

__all__ = ["LeNet5", "get_weights", "layers", "lenet5", "set_weights"]
