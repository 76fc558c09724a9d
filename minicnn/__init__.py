"""minicnn: convolutional networks in plain NumPy, small, correct, fast, and made to be read.

To read it, begin with a kernel (`ops/conv_im2col.py`), the contract of a layer (`layers/base.py`), a layer
(`layers/dense.py`), a model (`models/lenet5.py`), a loss (`losses.py`), an optimizer (`optimizers/sgd.py`), a
step (`parallel/shard.py`) and the loop (`training/loop.py`). The chapter `examples/reading_the_code.md` has
the whole path, in 2,500 lines, and what to skip at first. All else is apart from it, since a net would learn
the same without: faster algorithms, parallel steps, files, and the protection from silent mistakes.
"""

import sys as _sys
from typing import TYPE_CHECKING

import minicnn.startup as _startup  # noqa: F401 (before NumPy is imported)
from minicnn.batch_sums import sum_over_batch as sum_over_batch
from minicnn.errors import FileFormatError as FileFormatError
from minicnn.layers import *
from minicnn.layers import __all__ as _layers
from minicnn.models import __all__ as _models  # noqa: F401 (configurations can name their layers)
from minicnn.optimizers import *
from minicnn.optimizers import __all__ as _optimizers
from minicnn.parameter import Parameter as Parameter
from minicnn.version import __version__ as __version__

_IMPORTED = [*_layers, *_optimizers, "FileFormatError", "Parameter", "sum_over_batch"]

if TYPE_CHECKING:
    from minicnn.deferred import *
    from minicnn.training.callbacks import *
else:

    def __getattr__(name: str) -> object:
        """Import training and files at their first use: half of the package, which a model does not need."""
        if name == "__all__" or not name.startswith("__"):
            import minicnn.deferred as deferred

            names = {each: getattr(deferred, each) for each in deferred.__all__}
            globals().update(names, __all__=[*_IMPORTED, *names])
            if name in globals():
                return globals()[name]
        # By `name` and `obj`, Python adds what the user may have meant.
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message, name=name, obj=_sys.modules[__name__])

    def __dir__() -> list[str]:
        return sorted({*globals(), *__getattr__("__all__")})
