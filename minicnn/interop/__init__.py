"""Other frameworks: the same net in Keras and TensorFlow, weights that move, one comparison, and ONNX files.

Nothing here is needed to train or use a network. `minicnn.interop.keras` and `minicnn.interop.tensorflow`
need TensorFlow, `minicnn.interop.onnx` needs onnx; `compare` runs with whatever is there.
"""

from minicnn.interop.parity import compare

__all__ = ["compare"]
