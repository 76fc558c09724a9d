"""Interoperability with Keras, TensorFlow and ONNX.

`minicnn.interop.keras` and `minicnn.interop.tensorflow` need TensorFlow, `minicnn.interop.onnx` needs onnx.
`compare` runs with the frameworks that are installed.
"""

from minicnn.interop.parity import compare

__all__ = ["compare"]
