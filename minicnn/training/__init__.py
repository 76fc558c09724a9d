"""Training: the loop, its callbacks, and weights on disk."""

from minicnn.saving.weights import load_weights, save_weights
from minicnn.training.callbacks import Callback, Checkpoint, CSVLogger, EarlyStopping, ReduceLROnPlateau
from minicnn.training.history import History
from minicnn.training.lr_finder import RateSearch
from minicnn.training.trainer import Trainer

__all__ = [
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "History",
    "RateSearch",
    "ReduceLROnPlateau",
    "Trainer",
    "load_weights",
    "save_weights",
]
