"""Weights on disk: safetensors files, written atomically, read without trust."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from minicnn.layers.base import Layer
from minicnn.saving.tensors import read_tensors, write_tensors


def save_weights(model: Layer, path: str | os.PathLike[str]) -> None:
    """Save all weights of a built model, under the names of `named_parameters`.

    Parameters
    ----------
    model : Layer
        A built model.
    path : str or path
        A safetensors file. It is replaced as a whole or not at all, also on a crash or a full disk.
    """
    _demand_built(model)
    write_tensors(path, {name: parameter.value for name, parameter in model.named_parameters()})


def load_weights(model: Layer, path: str | os.PathLike[str], checked: bool = True) -> None:
    """Load the weights that `save_weights` saved into a built model; all or, on an error, none.

    Parameters
    ----------
    model : Layer
        A built model of the same architecture; values are cast to its dtype.
    path : str or path
        A safetensors file.
    checked : bool
        Demand the checksum that `save_weights` writes. With False, files of other programs are read as well,
        in which the format itself lets damage pass.

    Raises
    ------
    FileFormatError
        If the file is no safetensors file, not whole, or was damaged.
    ValueError
        If names or shapes differ; it lists which are missing, unexpected and wrongly shaped.
    """
    _demand_built(model)
    tensors, _ = read_tensors(path, checked)
    check_weights(model, tensors, path)
    for name, parameter in model.named_parameters():
        parameter.value = tensors[name]


def check_weights(model: Layer, tensors: Mapping[str, np.ndarray], path: str | os.PathLike[str]) -> None:
    """Raise unless these are the model's weights by name; `path` is where they come from."""
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
        raise ValueError(f"the weights in {path} must be those of the model; {listed}")


def _demand_built(model: Layer) -> None:
    if model.input_shape is None:
        raise RuntimeError("a model must be built before its weights are saved or loaded: call build")
