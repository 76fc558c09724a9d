"""Conversion of Keras models to minicnn."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import keras

from minicnn.interop.keras.custom_layers import keras_class
from minicnn.interop.keras.to_keras import to_keras
from minicnn.interop.keras.topology import Junction, Step, leaf_layers, ordered_layers
from minicnn.interop.keras.unread import require_readable, warn_of_losses
from minicnn.interop.layer_map import LAYER_MAP
from minicnn.interop.layer_map.counterpart import activation_name, require
from minicnn.layers import Layer, Sequential


def from_keras(
    source: keras.Model | str | os.PathLike[str], architecture: keras.Model | Layer | None = None
) -> Sequential:
    """Return a built `Sequential` with the layers and the weights of a Keras model, bit for bit.

    An activation inside a Keras layer becomes a layer of its own. Branches that start from one tensor and
    are joined by Add or Concatenate become `Residual` or `Concatenate`, also nested. A DepthwiseConv2D
    becomes a Conv2D with a group for each channel, a SeparableConv2D two convolutions. The optimizer, the
    loss and seeds are not converted; regularizers, constraints and half precision neither, with a warning.
    Frozen layers and weights stay frozen. Keras only casts uint8 images, `fit`, `evaluate` and
    `predict` of minicnn scale them to [0, 1], unless the model begins with `Rescaling(1 / 255)`: another one
    that was trained on values up to 255 needs floats.

    Parameters
    ----------
    source : keras.Model or path
        A model whose layers form one chain, apart from such branches, or a file saved by Keras: `.keras`,
        or `.weights.h5` together with an `architecture`. Keras reads the files with `safe_mode` on, so
        that no code in them is run.
    architecture : keras.Model or Layer, optional
        For a `.weights.h5` file: a Keras model, or a built minicnn model, of the same architecture. It is not
        changed.

    Returns
    -------
    Sequential

    Raises
    ------
    ValueError
        If a layer has no counterpart in minicnn (the message names the first), the layers form neither a
        chain nor such branches, the input size is not fixed, or the file is of another kind.
    RuntimeError
        If a Keras Sequential is not built.
    TypeError
        If the weights are neither float32 nor float64.

    Examples
    --------
    >>> import keras
    >>> twin = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="relu")])
    >>> from_keras(twin)
    Sequential([
        Dense(2),
        ReLU(),
    ])
    """
    if isinstance(source, (str, os.PathLike)):
        source = _read(Path(source), architecture)
    if not isinstance(source, keras.Model):
        raise TypeError(f"`source` must be a Keras model or a path, got {type(source).__name__}")
    if isinstance(source, keras.Sequential) and not getattr(source, "inputs", None):
        raise RuntimeError("the Keras model is not built: call it once, or build(input_shape)")
    steps = ordered_layers(source)
    model = Sequential(_converted(steps))
    layers = list(leaf_layers(steps))
    for layer in layers:
        if layer.weights and layers.count(layer) > 1:
            raise ValueError(f"layer {layer.name!r} has no counterpart in minicnn: it is used more than once")
    input_shape = source.inputs[0].shape[1:]
    if None in input_shape:
        raise ValueError(f"the model's input must have a fixed size, got {input_shape}")
    model.build(input_shape, dtype=next((weight.dtype for weight in source.weights), source.compute_dtype))
    weights = [weight for layer in layers for weight in layer.get_weights()]
    for parameter, weight in zip(model.parameters(), weights, strict=True):
        parameter.value = weight.reshape(parameter.shape)
    _copy_frozen(layers, model)
    warn_of_losses(layers)
    return model


def _copy_frozen(layers: Sequence[keras.Layer], model: Layer) -> None:
    """Freeze the weights and layers that are frozen in Keras."""
    variables = [(layer, variable) for layer in layers for variable in layer.weights]
    parameters = {id(p): pair for p, pair in zip(model.parameters(), variables, strict=True)}
    for _, part in model.named_layers():
        own = [parameters[id(p)] for p in part.parameters()]
        if own and not any(layer.trainable for layer, _ in own):
            part.trainable = False
    for parameter, (layer, variable) in zip(model.parameters(), variables, strict=True):
        if layer.trainable:
            parameter.trainable = variable.trainable


_Reader = Callable[..., list[Layer]]
# By the classes of Keras layers that are replaced together; classes, since a custom layer may have any name.
_READERS: dict[tuple[type[keras.Layer], ...], _Reader] = {
    tuple(map(keras_class, names)): reader
    for row in LAYER_MAP.values()
    for names, reader in row.from_keras.items()
}
_ACTIVATIONS = {name: make for row in LAYER_MAP.values() for name, make in row.keras_activations.items()}


def _converted(steps: Sequence[Step], place: str = "") -> list[Layer]:
    """Return the minicnn layers for Keras layers; `place` stands before the indices in error messages."""
    longest = max(map(len, _READERS))
    found: list[Layer] = []
    start = 0
    while start < len(steps):
        # In one group those layers that `to_keras` makes of a single layer, unless their settings differ.
        lengths = [n for n in range(longest, 1, -1) if _kinds(steps[start : start + n]) in _READERS]
        for length in (*lengths, 1):
            try:
                found += _read_group(steps[start : start + length], f"{place}{start}")
                break
            except ValueError:
                if length == 1:
                    raise
        start += length
    return found


def _kinds(steps: Sequence[Step]) -> tuple[type, ...]:
    return tuple(type(step) for step in steps)


def _read_group(group: Sequence[Step], place: str) -> list[Layer]:
    """Return the minicnn layers for a group of Keras layers, or for one that joins branches."""
    *_, last = group
    if isinstance(last, Junction):
        branches = [_converted(branch, f"{place}.{i}.") for i, branch in enumerate(last.branches)]
        return _counterpart([last.layer], place, branches)
    return _counterpart([step for step in group if not isinstance(step, Junction)], place)


def _counterpart(group: Sequence[keras.Layer], place: str, *branches: list[list[Layer]]) -> list[Layer]:
    last = group[-1]
    try:
        for layer in group:
            require(layer, data_format="channels_last")
            require_readable(layer)
        if _kinds(group) == (keras.layers.Activation,):
            return _activation(last)
        if _kinds(group) not in _READERS:
            joint = ": it joins several inputs" if branches else ""
            raise ValueError(f"there is no such layer{joint}")
        layers = _READERS[_kinds(group)](*group, *branches)
        return [*layers, *_activation(last)] if hasattr(last, "activation") else layers
    except (TypeError, ValueError) as error:
        name = f"layer {place} ({type(group[0]).__name__} {group[0].name!r})"
        raise ValueError(f"{name} has no counterpart in minicnn: {error}") from error


def _activation(layer: keras.Layer) -> list[Layer]:
    """Return a list with the layer for the activation of a Keras layer; it is empty for "linear"."""
    function = layer.activation
    if isinstance(function, (keras.layers.ReLU, keras.layers.LeakyReLU, keras.layers.ELU)):
        return _READERS[_kinds([function])](function)
    name = activation_name(layer)
    if name == "linear":
        return []
    if name not in _ACTIVATIONS:
        known = ", ".join(["linear", *_ACTIVATIONS])
        raise ValueError(f"its activation must be Keras's {known}, got {function!r:.60}")
    return [_ACTIVATIONS[name]()]


def _read(path: Path, architecture: keras.Model | Layer | None) -> keras.Model:
    if path.name.endswith(".weights.h5"):
        if architecture is None:
            raise ValueError(f"{path} holds only weights: give the `architecture` too")
        if isinstance(architecture, Layer):
            model = to_keras(architecture)
        else:  # a copy that is not compiled: the file's optimizer state is not needed
            model = type(architecture).from_config(architecture.get_config())
        model.load_weights(path)
        return model
    if path.suffix != ".keras":  # old HDF5 files can run code in spite of `safe_mode`
        raise ValueError(f"a file must be a .keras or a .weights.h5, got {path}")
    return keras.models.load_model(path, compile=False, safe_mode=True)
