"""Training: the loop, its state, and its callbacks."""

from minicnn.parallel.cores import available_threads
from minicnn.parallel.ranks import detect_world
from minicnn.training.callbacks import Callback, CSVLogger, EarlyStopping, ReduceLROnPlateau, SaveBest
from minicnn.training.history import History
from minicnn.training.lr_finder import RateSearch
from minicnn.training.state import TrainingState
from minicnn.training.trainer import Trainer

__all__ = [
    "CSVLogger",
    "Callback",
    "EarlyStopping",
    "History",
    "RateSearch",
    "ReduceLROnPlateau",
    "SaveBest",
    "Trainer",
    "TrainingState",
    "available_threads",
    "detect_world",
]
