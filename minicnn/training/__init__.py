"""Training: the loop, its state, and its callbacks."""

from minicnn.cores import available_threads
from minicnn.parallel.ranks import detect_world
from minicnn.training.batch import Batch
from minicnn.training.callbacks import *
from minicnn.training.callbacks import __all__ as _callbacks
from minicnn.training.history import History
from minicnn.training.lr_finder import RateSearch
from minicnn.training.state import TrainingState
from minicnn.training.trainer import Trainer

__all__ = [
    *_callbacks,
    "Batch",
    "History",
    "RateSearch",
    "Trainer",
    "TrainingState",
    "available_threads",
    "detect_world",
]
