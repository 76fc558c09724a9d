"""The names of the package that are imported when the first of them is used: training and files."""

from minicnn.saving.model_files import load_model, save_model
from minicnn.saving.weights import load_weights, save_weights
from minicnn.training.callbacks import *
from minicnn.training.callbacks import __all__ as _callbacks
from minicnn.training.history import History
from minicnn.training.trainer import Trainer

__all__ = [
    *_callbacks,
    "History",
    "Trainer",
    "load_model",
    "load_weights",
    "save_model",
    "save_weights",
]
