"""minicnn: convolutional networks in plain NumPy, small, correct, fast, and made to be read."""

import minicnn.startup as _startup  # noqa: F401 (before NumPy is imported)
from minicnn.batch_sums import sum_over_batch
from minicnn.errors import FileFormatError
from minicnn.layers import *
from minicnn.layers import __all__ as _layers
from minicnn.optimizers import *
from minicnn.optimizers import __all__ as _optimizers
from minicnn.parameter import Parameter
from minicnn.saving.model_files import load_model, save_model
from minicnn.saving.weights import load_weights, save_weights
from minicnn.training.callbacks import *
from minicnn.training.callbacks import __all__ as _callbacks
from minicnn.training.history import History
from minicnn.training.trainer import Trainer
from minicnn.version import __version__ as __version__

__all__ = [
    *_layers,
    *_optimizers,
    *_callbacks,
    "FileFormatError",
    "History",
    "Parameter",
    "Trainer",
    "load_model",
    "load_weights",
    "save_model",
    "save_weights",
    "sum_over_batch",
]
