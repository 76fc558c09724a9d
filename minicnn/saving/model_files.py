"""A model in one file: architecture, weights, input, class names, and how pictures become inputs.

The file is one of `write_tensors`: the weights under the names of `named_parameters`, and beside them a text,
JSON with the keys of `_SCHEMA`. There is no code in it, and nothing in it makes the reader import or run any.
"""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.config.decoder import classes_by_name
from minicnn.config.registry import custom_classes
from minicnn.errors import FileFormatError
from minicnn.layers import Layer
from minicnn.safeguards.notes import check_range, notes_of
from minicnn.saving.files import check_schema, parse_json, to_json
from minicnn.saving.preprocessing import check_preprocessing
from minicnn.saving.tensors import read_tensors
from minicnn.saving.weights import check_built, write_weights
from minicnn.version import __version__

VERSION = 1  # of the schema
_SCHEMA = {
    "minicnn_model": int,
    "architecture": dict,  # as `to_config` returns it
    "input_shape": [int],
    "dtype": str,
    "frozen": {"weights": [str], "layers": [str]},
    "class_names": object,
    "preprocessing": object,
    "made_by": {str: object},
    "input_range": object,
}


def save_model(
    model: Layer,
    path: str | os.PathLike[str],
    class_names: Sequence[str] | None = None,
    preprocessing: Mapping[str, Any] | str | None = None,
    made_by: Mapping[str, Any] | None = None,
) -> None:
    """Save a built model whole, in one safetensors file: architecture, weights, input shape and dtype.

    A layer of your own is saved by its class's name and its constructor's arguments, which `__init__` keeps
    under their own names; nothing else is asked of it. Its code is not saved: `load_model` needs the class.
    The range of the inputs of the training is saved, too, so that the loaded model warns of another scale.

    Parameters
    ----------
    model : Layer
        A built model.
    path : str or path
        It is replaced as a whole or not at all, even on a crash or a full disk.
    class_names : sequence of str, optional
        The names of the classes; by default the `class_names` of a model that was loaded.
    preprocessing : mapping or str, optional
        How pictures become inputs: "mnist-digit", or a mapping with some of `size`, `channels`, `resize`
        ("crop" or "pad"), `background`, `scale` and `offset`. By default that of a model that was loaded.
    made_by : mapping, optional
        What made the model, for JSON: settings, the digest of the data. Versions are added.

    Raises
    ------
    RuntimeError
        If the model is not built.
    ValueError
        If a layer does not keep its constructor's arguments, or one of them is not something that a file can
        hold; or the class names are not one for each output.

    Examples
    --------
    >>> import tempfile
    >>> from minicnn import Dense, Sequential
    >>> model = Sequential([Dense(2)]).build((3,), rng=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_model(model, f"{folder}/net.safetensors", class_names=["cat", "dog"])
    ...     load_model(f"{folder}/net.safetensors").class_names
    ['cat', 'dog']
    """
    check_built(model)
    classes = model.class_names if class_names is None else class_names
    frozen_weights = [name for name, parameter in model.named_parameters() if not parameter._trainable]
    layers = [("", model), *model.named_layers()]
    content = {
        "minicnn_model": VERSION,
        "architecture": _checked_config(model),
        "input_shape": model.input_shape,
        "dtype": model.dtype.name,
        "frozen": {
            "weights": frozen_weights,
            "layers": [name for name, layer in layers if not layer.trainable],
        },
        "class_names": _check_class_names(classes, model),
        "preprocessing": check_preprocessing(
            model.preprocessing if preprocessing is None else preprocessing, model.input_shape or ()
        ),
        "made_by": {**(model.made_by if made_by is None else made_by), **_versions()},
        "input_range": notes_of(model).trained_range,
    }
    write_weights(model, path, to_json(content))


def load_model(path: str | os.PathLike[str], custom_layers: Iterable[type[Layer]] = ()) -> Any:
    """Load a model that `save_model` saved, built and in evaluation mode.

    Nothing in the file is imported or run. Sizes are checked before anything is allocated: a layer of minicnn
    takes no more memory than the weights in the file, and an example has at most 2**28 values in any layer.
    Constructors of your own layers get the arguments that the file has, and their `init_params` allocates
    what these ask for: if files of unknown origin are loaded, let the constructors limit sizes.

    Parameters
    ----------
    path : str or path
        A model file.
    custom_layers : iterable of class
        The classes of those layers in the file that are not minicnn's.

    Returns
    -------
    Layer
        Its `class_names`, `preprocessing` and `made_by` are those of the file; the first two may be None.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    FileFormatError
        If the file is damaged or no model file, or has layers that are neither minicnn's nor in
        `custom_layers` (the message names them).
    """
    return read_model(path, custom_layers, 0)


def read_model(path: str | os.PathLike[str], custom_layers: Iterable[type[Layer]], seed: int) -> Any:
    """Return what `load_model` does, with random streams (Dropout's) of the seed.

    One function, in the order in which what the file says is checked and used.
    """
    # Imported here to keep `import minicnn` fast, and before the file is read, since it registers all layers.
    from minicnn.saving.output_shapes import build_by_rules

    classes = list(classes_by_name(custom_layers).values())
    tensors, text = read_tensors(path)
    if not text:
        raise FileFormatError(
            f"{path} has weights but no architecture: build the model, then call load_weights"
        )
    try:
        content = parse_json(text)
        _check_version(content)
        content.setdefault("input_range", None)  # files of earlier versions have none
        check_schema(content, _SCHEMA)
        model = Layer.from_config(content["architecture"], classes)
        build_by_rules(model, content["input_shape"], content["dtype"], tensors, seed)
        model.class_names = _check_class_names(content["class_names"], model)
        model.preprocessing = check_preprocessing(content["preprocessing"], model.input_shape or ())
        model.made_by = content["made_by"]
        _freeze(model, **content["frozen"])
        notes_of(model).trained_range = check_range(content["input_range"])
    except (ValueError, TypeError, OverflowError, MemoryError, RecursionError) as error:
        raise FileFormatError(f"{path} cannot be loaded as a model: {error}") from error
    except Exception as error:
        if not classes:
            raise
        # A file chooses the arguments of the caller's layers, whose code may fail in any way with them.
        raise FileFormatError(
            f"{path} cannot be loaded as a model: a custom layer cannot be built with the arguments in it: "
            f"{type(error).__name__}: {error}"
        ) from error
    model.set_weights([tensors[name] for name, _ in model.named_parameters()])
    return model


def _checked_config(model: Layer) -> dict[str, Any]:
    """Return the architecture; raise ValueError if it does not make the same model again."""
    config = model.to_config()
    again = type(model).from_config(config, custom_classes(model))
    if again.to_config() != config:
        raise ValueError(
            "the model cannot be saved: a constructor changes its arguments, so that those it has stored "
            f"give {again!r:.200} instead of {model!r:.200}"
        )
    return config


def _check_class_names(names: Any, model: Layer) -> list[str] | None:
    if names is None:
        return None
    outputs = model.output_shape[-1] if model.output_shape else 0
    listed = [] if isinstance(names, str) else list(names)
    if len(listed) != outputs or not all(isinstance(name, str) and name.isprintable() for name in listed):
        raise ValueError(
            f"`class_names` must be {outputs} printable strings, one per class, got {names!r:.200}"
        )
    return [str(name) for name in listed]


def _versions() -> dict[str, str]:
    return {"minicnn": __version__, "python": platform.python_version(), "numpy": np.__version__}


def _check_version(content: dict[str, Any]) -> None:
    """Raise ValueError unless this is a model file of a version that this code reads."""
    version = content.get("minicnn_model")
    if type(version) is not int:
        raise ValueError("it holds no model; only `save_model` writes model files")
    if version != VERSION:
        raise ValueError(
            f"its version is {version!s:.20}, this minicnn reads version {VERSION}: update minicnn"
        )


def _freeze(model: Layer, weights: list[str], layers: list[str]) -> None:
    """Freeze what was frozen; raise ValueError if the model has no weight or layer of such a name."""
    found = {"": model, **dict(model.named_layers())}
    parameters = dict(model.named_parameters())
    if unknown := ({*weights} - parameters.keys()) | ({*layers} - found.keys()):
        raise ValueError(f"`frozen` names what the model does not have: {sorted(unknown)!r:.80}")
    for name, layer in found.items():  # the outer ones first
        layer.trainable = name not in layers
    for name, parameter in parameters.items():
        parameter._trainable = name not in weights
