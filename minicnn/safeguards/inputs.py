"""Examples as the floats that a model takes, and warnings about examples of another scale than it expects.

Images of uint8 are scaled to [0, 1], unless the model begins with a layer that scales them itself. All else
is only cast, so numbers from 0 to 255 in another type train badly, without an error; each model warns once.
"""

import itertools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.ops.scaling import to_float
from minicnn.safeguards.notes import notes_of
from minicnn.safeguards.user_code import is_own
from minicnn.validation import check_numbers

_FEWEST = 64  # values of an example that may be an image
_UNSCALED = 32  # images whose values are at least 0 and reach this have not been scaled
_UNSCALED_SIGNED = 128  # the same, if some are negative
_TINY = 1 / 64  # floats from 0 to less than this have been scaled twice
_DARK = 16  # uint8 images of values below this use a small part of their range
_CONTRAST = 0.01  # of the largest value: images whose values differ by less
_HARDLY_DIFFER = "hardly differ"  # the kind of a warning, after which another of the scale would mislead
_RATIO = 8  # of the largest value in the training to another: another scale, not another sample
_FEW_CHANNELS = 4  # of images
_SAMPLE = 32  # examples that are looked at
_SEVERAL = 8  # examples, of which not all are blank or dark by chance


def takes_bytes(model: Any) -> bool:
    """Return whether a model begins with a `Rescaling` of values from 0 to 255."""
    return bool(getattr(first_layer(model), "takes_bytes", False))


def first_layer(model: Any) -> Any:
    """Return the innermost first layer of a model."""
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


def class_names(source: Any) -> list[str] | None:
    """Return the names of the classes of a folder of pictures; None for other examples."""
    return getattr(source, "names", None)


def note_classes(model: Any, names: list[str] | None) -> None:
    """Remember the classes that a model is trained on."""
    notes_of(model).classes = names


def check_classes(source: Any, name: str, trained: list[str] | None) -> None:
    """Raise ValueError if a folder of pictures has other classes than that of the training, if known.

    The label of a class is its place among the sorted names.
    """
    names = class_names(source)
    if names and trained and names != trained:
        raise ValueError(
            f"{name} has the classes {_listed(names)}, but the model was trained on {_listed(trained)}: "
            f"labels count them in this order, so they must be the same"
        )


def trained_classes(model: Any) -> list[str] | None:
    """Return the classes that a model was trained on, if they are known."""
    return notes_of(model).classes


def _listed(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" ... ({len(names)})" if len(names) > 5 else "")


def check_scale(model: Any, x: np.ndarray, name: str, training: bool = False) -> None:
    """Warn if the values of examples are hardly what the model expects; remember those of a training."""
    x = np.asarray(x)
    if x.size < _FEWEST * len(x) or not x.size or x.dtype.kind not in "iuf":
        return
    notes, wants_bytes = notes_of(model), takes_bytes(model)
    # A layer of the user's may move the channels to the end.
    if training and _looks_channels_first(x.shape) and not is_own(type(first_layer(model))):
        notes.warn(
            "channels first",
            f"{name} has the shape {x.shape}, which looks like (N, C, H, W), but images are (N, H, W, C): "
            f"transpose them by `x.transpose(0, 2, 3, 1)`",
        )
    values = _range(x, wants_bytes)
    # Features of a table may have outliers.
    ratios = (_RATIO, _RATIO if len(x) >= _SAMPLE else math.inf) if x.ndim == 4 else (math.inf, math.inf)
    problem = _problem(name, x.dtype, values, wants_bytes, notes.trained_range, ratios)
    if problem and not (problem[0] == "unscaled" and _HARDLY_DIFFER in notes.warned):
        how = " (`model.preprocessing` says how)" if getattr(model, "preprocessing", None) else ""
        notes.warn(problem[0], problem[1] + how * (problem[0] == "another scale"))
    known = notes.trained_range
    if training and math.isfinite(sum(values)) and (known is None or _differs(known, values, *ratios)):
        notes.trained_range = values


def _looks_channels_first(shape: tuple[int, ...]) -> bool:
    if len(shape) != 4 or min(shape[2:]) <= _FEW_CHANNELS:
        return False
    return shape[1] in (1, 3) if shape[2] == shape[3] else shape[1] == 3


def _problem(
    name: str,
    dtype: np.dtype,
    values: tuple[float, float],
    wants_bytes: bool,
    trained_on: tuple[float, float] | None,
    ratios: tuple[float, float],
) -> tuple[str, str] | None:
    """Return what is wrong with inputs from one value to another: its kind, and a message.

    The function is long because each mistake has its message beside the test.
    """
    low, high = values
    if low < 0 and max(-low, high) >= _UNSCALED_SIGNED and not wants_bytes and not trained_on:
        return "unscaled", (
            f"{name} has {dtype} values from {low:g} to {high:g}, which are used as they are: bring them to "
            f"a scale of about 1, such as `(x - x.mean()) / x.std()`"
        )
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
    if trained_on and _differs(trained_on, values, *ratios):
        return "another scale", (
            f"{name} gives inputs from {low:g} to {high:g}, but the model was trained on {trained_on[0]:g} "
            f"to {trained_on[1]:g}: preprocess both in the same way"
        )
    return None


def check_content(model: Any, x: np.ndarray, name: str) -> None:
    """Warn if examples to train on hold hardly anything: one value, or hardly a part of their range."""
    x = np.asarray(x)
    check_equal(model, x, name)
    if x.size < _FEWEST * len(x) or len(x) < _SEVERAL or x.dtype.kind not in "iuf":
        return
    if problem := _faint(name, x, takes_bytes(model)):
        notes_of(model).warn(*problem)


def check_equal(model: Any, x: np.ndarray, name: str) -> None:
    """Warn if all examples to train on are the same; tables of one value may stand for others."""
    if len(x) < _SEVERAL or x.dtype.kind not in "iuf":
        return
    few = some_of(x)
    is_constant = bool((few == few.flat[0]).all())
    if is_constant and x.size >= _FEWEST * len(x):
        message = f"all values of {name} are {float(few.flat[0]):g}, so that there is nothing to learn from"
        notes_of(model).warn("constant", message)
    elif not is_constant and (few == few[0]).all():
        notes_of(model).warn("equal", f"all examples in {name} are the same")


def some_of(x: np.ndarray) -> np.ndarray:
    """Return evenly spaced ones of the examples."""
    return x[:: max(-(-len(x) // _SAMPLE), 1)]


def _faint(name: str, x: np.ndarray, wants_bytes: bool) -> tuple[str, str] | None:
    """Return what is wrong with examples that hold hardly anything: its kind, and a message."""
    some = some_of(x)
    low, high = float(some.min()), float(some.max())
    if low == high:
        return None  # which was told
    if x.dtype == np.uint8 and high <= 1 and not wants_bytes:
        return "bits", (
            f"{name} has uint8 values of 0 and 1 only, which are scaled as pixels are, to 0 and 1/255: pass "
            f"floats, `x.astype(np.float32)`, or multiply by 255"
        )
    if x.dtype == np.uint8 and high < _DARK:
        return "bits", (
            f"{name} has uint8 values from {low:g} to {high:g} only, a small part of 0 to 255, by which they "
            f"are scaled: multiply by {255 // int(high)}"
        )
    if high - low < _CONTRAST * max(abs(low), abs(high)):
        return _HARDLY_DIFFER, (
            f"{name} has {x.dtype} values from {low:g} to {high:g}, which hardly differ: bring them to a "
            f"scale of about 1, such as `(x - x.mean()) / x.std()`"
        )
    if x.dtype.kind == "f" and low >= 0 and high < _TINY:
        return "scaled twice", (
            f"{name} has {x.dtype} values from {low:g} to {high:g}, as of images that were divided by 255 "
            f"twice: bring them to [0, 1]"
        )
    return None


def _range(x: np.ndarray, wants_bytes: bool) -> tuple[float, float]:
    """Return the lowest and the highest input that some examples become."""
    if x.dtype == np.uint8:
        return 0.0, 255.0 if wants_bytes else 1.0
    some = some_of(x)
    return float(some.min()), float(some.max())


def _differs(trained: tuple[float, float], now: tuple[float, float], larger: float, smaller: float) -> bool:
    """Return whether these are two scales, not two samples of one; the ratios are of the largest values."""
    for (low, high), (other_low, other_high) in itertools.permutations((trained, now)):
        if low >= 0 and high >= _UNSCALED and 0 < other_high <= 1:
            return True  # 0 to 255, and 0 to 1
        if low < -0.25 and other_low >= 0 and 0 < other_high <= 1:
            return True  # standardized, and 0 to 1
    before, after = (max(-low, high) for low, high in (trained, now))
    return 0 < larger * before < after or 0 < smaller * after < before
