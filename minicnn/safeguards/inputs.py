"""Examples as the floats that a model takes, and warnings about examples of another scale than it expects.

Images of uint8 are scaled to [0, 1], unless the model begins with a layer that scales them itself. All else
is only cast, so numbers from 0 to 255 in another type train badly, without an error; each model warns once.
"""

import itertools
import warnings
import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn.ops.scaling import to_float
from minicnn.validation import check_numbers

_FEWEST = 64  # values of an example that may be an image
_UNSCALED = 32  # images whose values are at least 0 and reach this have not been scaled
_FEW_CHANNELS = 4  # of images
_SAMPLE = 32  # examples that are looked at


@dataclass
class _Noted:
    """What is known of a model's inputs."""

    trained_on: tuple[float, float] | None = None
    warned: set[str] = field(default_factory=set)


_noted: dict[int, _Noted] = {}  # by the id of a model, which need not be hashable


def takes_bytes(model: Any) -> bool:
    """Return whether a model begins with a `Rescaling` of values from 0 to 255."""
    return bool(getattr(_first_layer(model), "takes_bytes", False))


def _first_layer(model: Any) -> Any:
    while isinstance(getattr(model, "layers", None), list) and model.layers:
        model = model.layers[0]
    return model


def to_input(model: Any, x: np.ndarray) -> np.ndarray:
    """Return a batch as floats: uint8 images scaled to [0, 1] unless the model does so itself."""
    if takes_bytes(model):
        return np.asarray(check_numbers(x, "x")).astype(model.dtype, copy=False)
    return to_float(x, model.dtype)


def input_batches(model: Any, x: np.ndarray, batch_size: int) -> Iterator[np.ndarray]:
    """Yield the inputs of a prediction, at least one batch."""
    check_scale(model, x, "`x`")
    for start in range(0, max(len(x), 1), batch_size):
        yield to_input(model, x[start : start + batch_size])


def share_notes(model: Any, replicas: Iterable[Any]) -> None:
    """Let replicas warn as one with their model."""
    for replica in replicas:
        _keep(replica, _notes(model))


def check_scale(model: Any, x: np.ndarray, name: str, training: bool = False) -> None:
    """Warn if the values of examples are hardly what the model expects; remember those of a training."""
    x = np.asarray(x)
    if x.size < _FEWEST * len(x) or not x.size or x.dtype.kind not in "iuf":
        return
    notes, wants_bytes = _notes(model), takes_bytes(model)
    if training and _looks_channels_first(x.shape) and not _begins_with_user_code(model):
        _warn(
            notes,
            "channels first",
            f"{name} has the shape {x.shape}, which looks like (N, C, H, W), but images are (N, H, W, C): "
            f"transpose them by `x.transpose(0, 2, 3, 1)`",
        )
    values = _range(x, wants_bytes)
    if problem := _problem(name, x.dtype, values, wants_bytes, None if training else notes.trained_on):
        _warn(notes, *problem)
    if training:
        notes.trained_on = values


def _looks_channels_first(shape: tuple[int, ...]) -> bool:
    return len(shape) == 4 and shape[1] in (1, 3) and shape[2] == shape[3] > _FEW_CHANNELS


def _begins_with_user_code(model: Any) -> bool:
    """Return whether the first layer is a user's, which may move the channels to the end."""
    return not type(_first_layer(model)).__module__.startswith("minicnn.")


def _problem(
    name: str,
    dtype: np.dtype,
    values: tuple[float, float],
    wants_bytes: bool,
    trained_on: tuple[float, float] | None,
) -> tuple[str, str] | None:
    """Return what is wrong with inputs from one value to another: its kind, and a message."""
    low, high = values
    if low >= 0 and high >= _UNSCALED and not wants_bytes:
        whole = dtype.kind != "f" and dtype != np.uint8
        use = "pass them as uint8, or divide them" if whole and high <= 255 else "divide them"
        return "unscaled", (
            f"{name} has {dtype} values from {low:g} to {high:g}, which are used as they are, since only "
            f"uint8 images are scaled to [0, 1]: {use} by {255 if high <= 255 else f'{high:g}'}"
        )
    if low >= 0 and 0 < high <= 1 and wants_bytes and dtype.kind == "f":
        return "scaled twice", (
            f"{name} has {dtype} values from {low:g} to {high:g}, but the model begins with Rescaling, "
            f"which takes 0 to 255: pass uint8 images, or multiply by 255"
        )
    if trained_on and _differs(trained_on, values):
        return "another scale", (
            f"{name} gives inputs from {low:g} to {high:g}, but the model was trained on {trained_on[0]:g} "
            f"to {trained_on[1]:g}: preprocess both in the same way"
        )
    return None


def _range(x: np.ndarray, wants_bytes: bool) -> tuple[float, float]:
    """Return the lowest and the highest input that some examples become."""
    if x.dtype == np.uint8:
        return 0.0, 255.0 if wants_bytes else 1.0
    some = x[:: -(-len(x) // _SAMPLE)]
    return float(some.min()), float(some.max())


def _differs(trained: tuple[float, float], now: tuple[float, float]) -> bool:
    """Return whether these are two scales, rather than two samples of one."""
    for (low, high), (_, other_high) in itertools.permutations((trained, now)):
        if low >= 0 and high >= _UNSCALED and 0 < other_high <= 1:
            return True  # 0 to 255, and 0 to 1
    (low, _), (other_low, other_high) = trained, now
    return low < -0.25 and other_low >= 0 and 0 < other_high <= 1  # standardized, and 0 to 1


def _notes(model: Any) -> _Noted:
    return _noted.get(id(model)) or _keep(model, _Noted())


def _keep(model: Any, notes: _Noted) -> _Noted:
    if id(model) not in _noted:
        weakref.finalize(model, _noted.pop, id(model), None)
    _noted[id(model)] = notes
    return notes


def _warn(notes: _Noted, kind: str, message: str) -> None:
    if kind not in notes.warned:
        notes.warned.add(kind)
        warnings.warn(message, stacklevel=4)
