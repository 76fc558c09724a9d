"""Models and weights from PyTorch: `nn.Sequential` of the usual layers, and state dicts.

PyTorch itself is not imported: modules are known by their classes' names, and tensors become arrays.
"""

from minicnn.interop.torch.modules import from_torch
from minicnn.interop.torch.state import load_state

__all__ = ["from_torch", "load_state"]
