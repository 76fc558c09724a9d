"""The weights of a PyTorch model in a minicnn model of the same layers.

PyTorch has images as (N, C, H, W) and kernels as (out, in, rows, columns), and its Flatten puts channels
first: the rows of a dense kernel behind it are reordered.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from minicnn.interop.layer_map import leaf_layers
from minicnn.layers import BatchNorm, Conv2D, Dense, Flatten, GroupNorm, Layer, LayerNorm, PReLU
from minicnn.saving.weights import check_built

Group = tuple[str, dict[str, np.ndarray]]  # the name of a PyTorch module, and its arrays by their names


def load_state(model: Layer, state: Mapping[str, Any]) -> None:
    """Load the state dict of a PyTorch model into a built model of the same layers; all of it, or nothing.

    Layers with weights are paired in order, so the names in the state do not matter.

    Parameters
    ----------
    model : Layer
        A built model; values are cast to its dtype.
    state : mapping of str to array or tensor
        As `module.state_dict()` returns it. Of a file, what `torch.load(path, weights_only=True)` or
        `safetensors.numpy.load_file(path)` returns.

    Raises
    ------
    RuntimeError
        If the model is not built.
    ValueError
        If a layer has no counterpart: another kind, other shapes, or none left. The message names the first.

    Examples
    --------
    >>> from minicnn import Dense
    >>> model = Dense(2).build((3,), rng=0)
    >>> load_state(model, {"weight": np.arange(6.0).reshape(2, 3), "bias": np.zeros(2)})
    >>> model.kernel.value
    array([[0., 3.],
           [1., 4.],
           [2., 5.]], dtype=float32)
    """
    check_built(model)
    groups = _groups(state)
    new: dict[int, np.ndarray] = {}
    for place, layer, order in _weighted(model):
        if not groups:
            raise ValueError(f"layer {place} has no counterpart: the state has no more layers with weights")
        new |= _converted(place, layer, order, groups.pop(0))
    if groups:
        raise ValueError(f"{groups[0][0]!r} of the state has no counterpart: the model has no more layers")
    model.set_weights([new[id(parameter)] for parameter in model.parameters()])


def channels_last(shape: tuple[int, ...]) -> np.ndarray:
    """Return, for each value of a flattened image (H, W, C), its index where the channels come first.

    >>> channels_last((1, 2, 3))
    array([0, 2, 4, 1, 3, 5])
    """
    height, width, channels = shape
    return np.arange(height * width * channels).reshape(channels, height, width).transpose(1, 2, 0).ravel()


def _groups(state: Mapping[str, Any]) -> list[Group]:
    """Return the arrays of each module, in the state's order; without counters."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name, value in state.items():
        module, _, attribute = name.rpartition(".")
        if attribute != "num_batches_tracked":
            array = value.detach().cpu().numpy() if hasattr(value, "detach") else np.asarray(value)
            groups.setdefault(module, {})[attribute] = array
    return list(groups.items())


def _weighted(model: Layer) -> Iterator[tuple[str, Layer, np.ndarray | None]]:
    """Yield the layers with weights, and the order of their inputs where these are a flattened image."""
    order = None
    for name, layer in leaf_layers(model):
        shape = layer.input_shape or ()
        if isinstance(layer, Flatten) and len(shape) == 3:
            order = channels_last(shape)
        if layer.parameters():
            yield f"{name} ({type(layer).__name__})", layer, order if len(shape) == 1 else None
        if isinstance(layer, Dense):
            order = None


def _kernel(weight: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    kernel = weight.T
    return kernel if order is None or len(order) != len(kernel) else kernel[order]


def _values(weight: np.ndarray, order: np.ndarray | None) -> np.ndarray:
    return weight if order is None or weight.shape != order.shape else weight[order]


# For each layer, by our attribute: the name of the array in PyTorch, and how it becomes ours.
_Convert = Callable[[np.ndarray, "np.ndarray | None"], np.ndarray]
_SCALED: dict[str, tuple[str, _Convert]] = {"gamma": ("weight", _values), "beta": ("bias", _values)}
_CONVERSIONS: dict[type[Layer], dict[str, tuple[str, _Convert]]] = {
    Conv2D: {
        "kernel": (
            "weight",
            lambda weight, order: weight.transpose(2, 3, 1, 0) if weight.ndim == 4 else weight,
        ),
        "bias": ("bias", lambda bias, order: bias),
    },
    Dense: {"kernel": ("weight", _kernel), "bias": ("bias", lambda bias, order: bias)},
    BatchNorm: _SCALED | {name: (name, _values) for name in ("running_mean", "running_var")},
    GroupNorm: _SCALED,
    LayerNorm: _SCALED,
    PReLU: {"slope": ("weight", _values)},
}


def _converted(place: str, layer: Layer, order: np.ndarray | None, group: Group) -> dict[int, np.ndarray]:
    """Return the new value of each parameter of a layer, by the parameter's id."""
    module, arrays = group
    conversions = next((found for kind, found in _CONVERSIONS.items() if isinstance(layer, kind)), None)
    if conversions is None:
        raise ValueError(f"layer {place} has no counterpart in PyTorch")
    parameters = dict(layer.named_parameters())
    wanted = {conversions[name][0] for name in parameters if name in conversions}
    if wanted != arrays.keys():
        raise ValueError(
            f"layer {place} needs {', '.join(sorted(wanted))}, but {module!r} in its place has "
            f"{', '.join(sorted(arrays))}"
        )
    found = {}
    for name, parameter in parameters.items():
        source, convert = conversions[name]
        value = convert(arrays[source], order)
        if isinstance(layer, PReLU) and value.size == 1:  # one slope for all channels
            value = np.full(parameter.shape, value.item())
        if value.shape != parameter.shape:
            raise ValueError(
                f"{name} of layer {place} has shape {parameter.shape}, but {module}.{source} has "
                f"{arrays[source].shape}, which is {value.shape} in minicnn"
            )
        found[id(parameter)] = value
    return found
