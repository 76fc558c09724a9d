"""What a Keras model has beside its layers and weights, and minicnn has not."""

import warnings
from collections.abc import Sequence

import keras

_TRAINING_ONLY = ("regularizer", "constraint")  # ends of the names of attributes


def require_readable(layer: keras.Layer) -> None:
    """Raise ValueError if the numbers of a layer are not only those of its class and settings."""
    if getattr(layer, "quantization_mode", None):
        raise ValueError(f"its weights are quantized ({layer.quantization_mode})")
    if getattr(layer, "lora_enabled", False):
        raise ValueError("it has LoRA weights; merge them first")


def require_own_call(model: keras.Model) -> None:
    """Raise ValueError if the class of a model computes something else than its graph of layers."""
    base = keras.Sequential if isinstance(model, keras.Sequential) else keras.Model
    own = next(each for each in type(model).__mro__ if "call" in vars(each))
    if not own.__module__.startswith("keras."):
        raise ValueError(
            f"{type(model).__name__} {model.name!r} has a `call` of its own: only a {base.__name__} that "
            f"applies its layers can be converted"
        )


def warn_of_losses(layers: Sequence[keras.Layer]) -> None:
    """Warn once about all that is lost, with the names of the layers."""
    found: dict[str, list[str]] = {}
    for layer in layers:
        for reason in _losses(layer):
            found.setdefault(reason, []).append(layer.name)
    if found:
        text = "; ".join(f"{reason} ({', '.join(names)})" for reason, names in found.items())
        warnings.warn(f"from_keras does not convert: {text}", stacklevel=3)


def _losses(layer: keras.Layer) -> list[str]:
    """Return what minicnn lacks of a layer."""
    names = [name for name in sorted(vars(layer)) if name.endswith(_TRAINING_ONLY)]
    found = [f"the {name}" for name in names if getattr(layer, name) is not None]
    if layer.compute_dtype not in ("float32", "float64"):
        found.append(f"the precision {layer.compute_dtype} of its computations")
    return found
