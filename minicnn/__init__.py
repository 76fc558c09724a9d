"""minicnn: convolutional networks in plain NumPy, small, correct, fast, and made to be read."""

from minicnn.errors import FileFormatError
from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    Pool2D,
    ReLU,
    Sequential,
    Sigmoid,
    Softmax,
    Tanh,
)
from minicnn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from minicnn.parameter import Parameter
from minicnn.training import (
    Callback,
    Checkpoint,
    CSVLogger,
    EarlyStopping,
    History,
    ReduceLROnPlateau,
    Trainer,
    load_weights,
    save_weights,
)
from minicnn.version import __version__ as __version__

__all__ = [
    "SGD",
    "Adam",
    "AdamW",
    "BatchNorm",
    "CSVLogger",
    "Callback",
    "Checkpoint",
    "Conv2D",
    "Dense",
    "Dropout",
    "EarlyStopping",
    "FileFormatError",
    "Flatten",
    "GlobalAveragePool2D",
    "History",
    "Layer",
    "LeakyReLU",
    "LocalResponseNorm",
    "Optimizer",
    "Parameter",
    "Pool2D",
    "RMSprop",
    "ReLU",
    "ReduceLROnPlateau",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Trainer",
    "load_weights",
    "save_weights",
]
