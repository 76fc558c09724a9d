"""minicnn: convolutional networks in plain NumPy, small, correct, fast, and made to be read.

To read it, begin with a kernel (`ops/conv_im2col.py`), the contract of a layer (`layers/base.py`), a layer
(`layers/dense.py`), a model (`models/lenet5.py`), a loss (`losses.py`), an optimizer (`optimizers/sgd.py`), a
step (`parallel/shard.py`) and the loop (`training/loop.py`). The chapter `examples/reading_the_code.md` has
the whole path, in 2,500 lines, and what to skip at first. All else is apart from it, since a net would learn
the same without: faster algorithms, parallel steps, files, and the protection from silent mistakes.
"""

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
