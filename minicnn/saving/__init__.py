"""Files: named tensors with a checksum, weights, whole models, checkpoints, and fingerprints."""

from minicnn.saving.model_files import load_model, save_model
from minicnn.saving.tensors import read_tensors, write_tensors
from minicnn.saving.weights import PartialLoad, load_weights, save_weights

__all__ = [
    "PartialLoad",
    "load_model",
    "load_weights",
    "read_tensors",
    "save_model",
    "save_weights",
    "write_tensors",
]
