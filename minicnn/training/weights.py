"""Weights on disk: safetensors files, written atomically, read without trust."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.layers.base import Layer


def save_weights(model: Layer, path: str | os.PathLike[str]) -> None:
    """Save all weights of a built model, under the names of `named_parameters`.

    Parameters
    ----------
    model : Layer
        A built model.
    path : str or path
        A safetensors file. It is replaced as a whole or not at all, also on a crash or a full disk.
    """
    import safetensors.numpy  # only who saves or loads pays for the import

    _demand_built(model)
    tensors = {name: np.ascontiguousarray(p.value) for name, p in model.named_parameters()}
    write_atomically(path, safetensors.numpy.save(tensors))


def load_weights(model: Layer, path: str | os.PathLike[str]) -> None:
    """Load the weights that `save_weights` saved into a built model; all or, on an error, none.

    Parameters
    ----------
    model : Layer
        A built model of the same architecture; values are cast to its dtype.
    path : str or path
        A safetensors file.

    Raises
    ------
    FileFormatError
        If the file is no safetensors file, or not whole.
    ValueError
        If names or shapes differ; it lists which are missing, unexpected and wrongly shaped.
    """
    import safetensors.numpy

    _demand_built(model)
    try:
        tensors = safetensors.numpy.load(Path(path).read_bytes())
    except (safetensors.SafetensorError, ValueError, KeyError) as error:
        raise FileFormatError(f"{path} must be a safetensors file: {error}") from error
    named = dict(model.named_parameters())
    shapes = {name: p.shape for name, p in named.items()}
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
    for name, parameter in named.items():
        parameter.value = tensors[name]


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file so that at any moment it is either the old one or the new one, whole and on the disk."""
    path = Path(path)
    # In the same folder, since a rename is atomic only within a file system.
    temporary = path.with_name(f".{path.name}.{os.urandom(4).hex()}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        error.filename, error.filename2 = os.fspath(path), None  # the user never asked for the temporary one
        raise
    finally:
        temporary.unlink(missing_ok=True)  # gone already where the rename succeeded
    if os.name == "posix":  # elsewhere a folder cannot be opened
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name too must be on the disk
        finally:
            os.close(folder)


def _demand_built(model: Layer) -> None:
    if model.input_shape is None:
        raise RuntimeError("a model must be built before its weights are saved or loaded: call build")
