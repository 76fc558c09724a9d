"""Finding where the first non-finite number of a training step came from."""

import copy
import math

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.ranks import Ranks
from minicnn.safeguards.inputs import to_input
from minicnn.safeguards.nonfinite import FoundError, is_finite, nonfinite_weights
from minicnn.training.batch import Batch
from minicnn.training.state import Loss, TrainingState
from minicnn.training.weighting import labels_for_loss

_OF_DATA = "the batch itself", "the labels of the batch"  # causes for which a smaller rate is no remedy


def nonfinite_error(
    state: TrainingState, batch: Batch, value: float, loss: Loss, ranks: Ranks
) -> FloatingPointError:
    """Return the error about a step whose loss, `value`, or gradients are not finite."""
    x, labels = to_input(state.model, batch.x), labels_for_loss(batch.y, batch.sample_weight)
    found = [clause for clause in ranks.all_gather(find_nonfinite(state.model, x, labels, loss)) if clause]
    cause = found[0] if found else "a copy of the model that repeated the step found nothing non-finite"
    what = "a gradient became non-finite" if math.isfinite(value) else f"loss became {value:g}"
    advice = "" if cause.startswith(_OF_DATA) else ". Try a smaller learning rate."
    return ranks.raised_everywhere(
        FloatingPointError(f"{what} in epoch {state.epoch}, step {state.step}: {cause}{advice}")
    )


def find_nonfinite(model: Layer, x: np.ndarray, y: np.ndarray, loss: Loss) -> str | None:
    """Return a clause about the first non-finite thing in a training step, None if everything is finite.

    In the order of computation: the batch, the weights, the output of each layer, the loss's gradient, and
    then backwards dL/dx and the weights' gradients of each layer. A copy of the model repeats the step.
    """
    if not is_finite(x):
        return f"{_OF_DATA[0]} has non-finite values"
    if y.dtype.kind == "f" and not is_finite(y):
        return f"{_OF_DATA[1]} have non-finite values"
    if names := nonfinite_weights(model):
        return f"the weights {names[0]!r} are not finite"
    model = copy.deepcopy(model).train()
    model.zero_grad()  # the failed step has left its own
    for name, layer in (("the model", model), *model.named_layers()):
        _watch(layer, name)  # inner layers come first
    try:
        with np.errstate(all="ignore"):
            predictions = model(x)
            value, dpredictions = loss(predictions, y)
            if not (math.isfinite(value) and is_finite(dpredictions)):
                return "the loss is not finite, but every layer's output is"
            model.backward(dpredictions)
    except FoundError as found:
        return str(found)
    return None


def _watch(layer: Layer, name: str) -> None:
    """Make `layer` raise as soon as its output, its dL/dx or a weight's gradient is not finite."""
    forward, backward = layer.forward, layer.backward
    label = f"{name} ({type(layer).__name__})"

    def watched_forward(x: np.ndarray) -> np.ndarray:
        y = forward(x)
        if not is_finite(y):
            raise FoundError(f"the output of {label} is the first non-finite value")
        return y

    def watched_backward(dy: np.ndarray) -> np.ndarray | None:
        dx = backward(dy)
        arrays = {"dx": dx} | {f"gradient of {n!r}": p.grad for n, p in layer.named_parameters()}
        for kind, array in arrays.items():
            if array is not None and not is_finite(array):
                raise FoundError(f"the {kind} of {label} is the first non-finite value")
        return dx

    layer.forward, layer.backward = watched_forward, watched_backward  # type: ignore[method-assign]
