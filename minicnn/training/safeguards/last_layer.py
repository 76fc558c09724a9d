"""The last layer of a model, if it does not suit the loss or the labels: training would be slow and bad."""

import math
import warnings
from typing import Any

import numpy as np

from minicnn.layers import ELU, GELU, Dropout, Flatten, Layer, ReLU, Residual, Sigmoid, SiLU, Softmax, Tanh
from minicnn.losses import binary_cross_entropy_with_logits, mean_squared_error, softmax_cross_entropy
from minicnn.safeguards.user_code import plain_function
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


def warn_of_last_layer(model: Layer, loss: Loss) -> None:
    """Warn if the model ends with the activation that the loss has, too, or one that limits the logits."""
    function, last = plain_function(loss), _last_layer(model)
    inside, limits = _IN_THE_LOSS.get(function), _LIMITS.get(type(last))
    if inside is None:
        return
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
    return f"above {low:g}" if math.isinf(high) else f"between {low:g} and {high:g}"
