"""Files: named tensors with a checksum, weights, checkpoints, and fingerprints."""

from minicnn.saving.tensors import read_tensors, write_tensors
from minicnn.saving.weights import load_weights, save_weights

__all__ = ["load_weights", "read_tensors", "save_weights", "write_tensors"]
