"""Interoperability with Keras, TensorFlow, PyTorch and ONNX.

`minicnn.interop.keras` and `minicnn.interop.tensorflow` need TensorFlow, `minicnn.interop.onnx` needs onnx.
`compare` runs with the frameworks that are installed. `minicnn.interop.torch` needs nothing.
"""

from minicnn.interop.parity import compare

__all__ = ["compare"]
