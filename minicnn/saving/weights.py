"""Weights in safetensors files, written atomically and read without trust."""

import os
from collections.abc import Mapping

import numpy as np

from minicnn.layers.base import Layer
from minicnn.saving.tensors import read_tensors, write_tensors


def save_weights(model: Layer, path: str | os.PathLike[str]) -> None:
    """Save all weights of a built model under the names of `named_parameters`.

    Parameters
    ----------
    model : Layer
        A built model.
    path : str or path
        A safetensors file. It is replaced as a whole or not at all, even on a crash or a full disk.
    """
    _check_built(model)
    names = [name for name, _ in model.named_parameters()]
    write_tensors(path, dict(zip(names, model.get_weights(), strict=True)))


def load_weights(model: Layer, path: str | os.PathLike[str], checked: bool = True) -> None:
    """Load the weights that `save_weights` saved into a built model; on an error the model is unchanged.

    Parameters
    ----------
    model : Layer
        A built model of the same architecture; values are cast to its dtype.
    path : str or path
        A safetensors file.
    checked : bool
        Require the checksum that `save_weights` writes. With False, files of other programs are read as well,
        in which damaged values go unnoticed, since the format itself has no checksum.

    Raises
    ------
    FileFormatError
        If the file is no safetensors file, is incomplete or damaged.
    ValueError
        If names or shapes differ. The message lists the missing, unexpected and wrongly shaped ones.
    """
    _check_built(model)
    tensors, _ = read_tensors(path, checked)
    check_weights(model, tensors, path)
    model.set_weights([tensors[name] for name, _ in model.named_parameters()])


def check_weights(model: Layer, tensors: Mapping[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    """Raise unless these are the model's weights by name; messages name `path`, their file."""
    shapes = {name: p.shape for name, p in model.named_parameters()}
    problems = {
        "missing": sorted(shapes.keys() - tensors.keys()),
        "unexpected": sorted(tensors.keys() - shapes.keys()),
        "wrongly shaped": [
            f"{name} {tensors[name].shape} instead of {shape}"
            for name, shape in shapes.items()
            if name in tensors and tensors[name].shape != shape
        ],
        "not floats": [name for name, value in tensors.items() if value.dtype.kind != "f"],
    }
    listed = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in problems.items() if names)
    if listed:
        raise ValueError(f"the weights in {path} do not fit the model; {listed}")


def _check_built(model: Layer) -> None:
    """Raise unless the model is built, since it has no weights before."""
    if model.input_shape is None:
        raise RuntimeError("a model must be built before its weights are saved or loaded: call `build` first")
