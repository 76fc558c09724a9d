"""Examples and labels that are NaN or infinite, found before the first step where they are in arrays."""

import numpy as np

from minicnn.plural import counted
from minicnn.safeguards.inputs import first_layer
from minicnn.safeguards.nonfinite import is_finite
from minicnn.safeguards.user_code import is_own
from minicnn.training.batch import Batches
from minicnn.training.sources import Examples, ExampleSource
from minicnn.training.state import TrainingState


def require_finite(
    state: TrainingState, batches: Batches, validation_data: ExampleSource | Examples | None
) -> None:
    """Raise ValueError if arrays of examples or labels have values that are NaN or infinite.

    A first layer or a loss of the user's may take them for missing values. Labels of weight 0 do not count;
    examples do, since they pass through the net. Of memory-mapped examples, only those of a step are read.
    """
    sets = [("", batches.arrays)] if batches.source is None else []
    sets += [("`validation_data`: ", validation_data)] if isinstance(validation_data, tuple) else []
    for place, arrays in sets:
        if len(arrays) < 2:  # batches of an iterable
            continue
        x, y, *weights = arrays
        if not (isinstance(x, np.memmap) or is_own(type(first_layer(state.model)))):
            _require(f"{place}`x`", x, np.ones(len(x), bool), "remove or replace them")
        if not is_own(state.loss):
            used = weights[0] > 0 if weights else np.ones(len(y), bool)
            _require(f"{place}`y`", y, used, "remove them, or give them a `sample_weight` of 0")


def _require(name: str, array: np.ndarray, used: np.ndarray, remedy: str) -> None:
    if array.dtype.kind != "f" or is_finite(array):
        return
    wrong = used & ~np.isfinite(array.reshape(len(array), -1)).all(axis=1)
    if wrong.any():
        raise ValueError(
            f"{name} has NaN or infinite values in {counted(int(wrong.sum()), 'example')} of {len(array)}, "
            f"the first is number {int(wrong.argmax())}: {remedy}"
        )
