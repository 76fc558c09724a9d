"""The last layer of a model, if it does not suit the loss or the labels: training would be slow and bad."""

import contextlib
import math
import warnings
from typing import Any

import numpy as np

from minicnn.layers import ELU, GELU, Dropout, Flatten, Layer, ReLU, Residual, Sigmoid, SiLU, Softmax, Tanh
from minicnn.losses import binary_cross_entropy_with_logits, mean_squared_error, softmax_cross_entropy
from minicnn.safeguards.inputs import some_of
from minicnn.safeguards.user_code import is_own, plain_function
from minicnn.training.state import Loss

# The activation that is a part of the loss.
_IN_THE_LOSS: dict[Any, type[Layer]] = {
    softmax_cross_entropy: Softmax,
    binary_cross_entropy_with_logits: Sigmoid,
}
_LIMITS: dict[type[Layer], tuple[float, float]] = {  # of the outputs
    Softmax: (0.0, 1.0),
    Sigmoid: (0.0, 1.0),
    Tanh: (-1.0, 1.0),
    ReLU: (0.0, math.inf),
    ELU: (-1.0, math.inf),
    SiLU: (-0.28, math.inf),
    GELU: (-0.17, math.inf),
}


_EQUAL = 1e-4  # relative difference of sums that are the same
_SEVERAL = 8  # labels that are not the same by chance
_PROBE = 100.0  # inputs of a user's last layer, to see whether its outputs have limits


def warn_of_last_layer(model: Layer, loss: Loss) -> None:
    """Warn if the model ends with the activation that the loss has, too, or one that limits the logits."""
    function, last = plain_function(loss), _last_layer(model)
    inside = _IN_THE_LOSS.get(function)
    if inside is None:
        return
    limits = _LIMITS.get(type(last)) or _found_limits(last)
    name, takes = type(last).__name__, f"{function.__name__} takes any numbers"
    problem = ""
    if type(last) is inside:
        problem = f"which {function.__name__} includes already: remove the layer {name}, so that the loss "
        problem += "gets logits"
    elif isinstance(last, Dropout) and last.rate > 0:
        problem = "which sets logits to 0 at random: remove this layer, or move it before the last Dense"
    elif limits and limits[0] == 0 and math.isinf(limits[1]):
        problem = f"so that no logit can be negative: remove this layer, since {takes}"
    elif limits:
        problem = (
            f"so that all logits are {_between(*_scaled(last, limits))}: remove this layer, since {takes}"
        )
    if problem:
        warnings.warn(f"the model ends with {name}, {problem}", stacklevel=3)


def warn_of_probabilities(model: Layer, loss: Loss, predictions: np.ndarray) -> None:
    """Warn if the outputs for the first batch are those of a softmax, and the loss has one."""
    is_known = type(_last_layer(model)) is Softmax  # and was told
    if plain_function(loss) is not softmax_cross_entropy or is_known or predictions.ndim != 2:
        return
    totals = predictions.sum(axis=1, dtype=np.float64)
    if not totals.size or predictions.min() < 0 or totals.min() <= 0:
        return
    differ = np.ptp(predictions, axis=0).max() > 0.01 * totals[0]  # unlike those of equal examples
    is_constant = differ and np.ptp(totals) <= _EQUAL * totals[0]
    if is_constant or abs(totals - 1).max() <= _EQUAL:
        warnings.warn(
            f"the outputs of the model are never negative, and their sum is {totals[0]:.4g} in each row, as "
            f"after a softmax, which softmax_cross_entropy includes already: let the model end with logits",
            stacklevel=7,
        )


def warn_of_labels(model: Layer, loss: Loss, labels: np.ndarray) -> None:
    """Warn if the mean squared error has labels which the last activation cannot reach."""
    last = _last_layer(model)
    limits = _LIMITS.get(type(last))
    if limits is None or plain_function(loss) is not mean_squared_error or not labels.size:
        return
    low, high = _scaled(last, limits)
    found = float(labels.min()), float(labels.max())
    if found[0] < low - 1e-6 or found[1] > high + 1e-6:
        name = type(last).__name__
        warnings.warn(
            f"the labels are from {found[0]:g} to {found[1]:g}, but the model ends with {name}, whose "
            f"outputs are {_between(low, high)}: scale the labels, or remove this layer",
            stacklevel=4,
        )


def warn_of_constant_labels(labels: np.ndarray) -> None:
    """Warn if all examples have the same label."""
    few = some_of(labels)
    if len(labels) >= _SEVERAL and (few == few[0]).all() and (labels == labels[0]).all():
        shown = np.array2string(labels[0], threshold=4)
        warnings.warn(
            f"all {len(labels)} labels are {shown}, so that there is nothing to learn", stacklevel=4
        )


def _found_limits(last: Layer) -> tuple[float, float] | None:
    """Return the limits of the outputs of a user's layer without weights, if large inputs show some."""
    limits = None
    if is_own(type(last)) and not last.parameters() and not last.generators():
        with contextlib.suppress(Exception), np.errstate(all="ignore"):
            shape = (8, *(last.input_shape or ()))
            x = np.random.default_rng(0).normal(size=shape).astype(last.dtype) * last.dtype.type(_PROBE)
            y = last.eval_replica()(x)
            if np.ptp(y) < 0.1 * _PROBE:  # not NaN
                limits = round(float(y.min()), 6), round(float(y.max()), 6)
    return limits


def _last_layer(model: Layer) -> Layer:
    last = model
    while (layers := getattr(last, "layers", None)) and not isinstance(last, Residual):  # which adds x
        shown = [layer for layer in layers if not isinstance(layer, Flatten)]
        last = (shown or layers)[-1]
    return last


def _scaled(last: Layer, limits: tuple[float, float]) -> tuple[float, float]:
    """Return the limits of this layer's outputs."""
    scale = abs(getattr(last, "amplitude", 1.0))  # of Tanh
    return limits[0] * scale * getattr(last, "alpha", 1.0), limits[1] * scale


def _between(low: float, high: float) -> str:
    return f"above {low:.3g}" if math.isinf(high) else f"between {low:.3g} and {high:.3g}"
