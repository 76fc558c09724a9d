"""Callbacks: actions at fixed points of the training loop, one file each."""

from minicnn.training.callbacks.average_weights import AverageWeights
from minicnn.training.callbacks.base import Callback
from minicnn.training.callbacks.csv_logger import CSVLogger
from minicnn.training.callbacks.early_stopping import EarlyStopping
from minicnn.training.callbacks.monitor import Monitor
from minicnn.training.callbacks.reduce_lr_on_plateau import ReduceLROnPlateau
from minicnn.training.callbacks.save_best import SaveBest

__all__ = [
    "AverageWeights",
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "Monitor",
    "ReduceLROnPlateau",
    "SaveBest",
]
