"""Training: the loop, its callbacks, and weights on disk."""

from minicnn.training.callbacks import Callback, Checkpoint, CSVLogger, EarlyStopping, ReduceLROnPlateau
from minicnn.training.history import History
from minicnn.training.rates import RateSearch
from minicnn.training.trainer import Trainer
from minicnn.training.weights import load_weights, save_weights

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
