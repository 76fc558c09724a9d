"""Weights in safetensors files, written atomically and read without trust."""

import os
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from minicnn.layers.base import Layer
from minicnn.plural import counted
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
    check_built(model)
    write_weights(model, path)


def write_weights(model: Layer, path: str | os.PathLike[str], text: str = "") -> None:
    """Write the weights of one moment between two steps, and a text beside them."""
    names = [name for name, _ in model.named_parameters()]
    write_tensors(path, dict(zip(names, model.get_weights(), strict=True)), text)


class PartialLoad(NamedTuple):
    """What `load_weights(..., partial=True)` did; as text, a sentence.

    Attributes
    ----------
    loaded : list of str
        The names of the weights that were taken from the file.
    missing : list of str
        Those of the model that the file does not have; they are unchanged.
    unexpected : list of str
        Those of the file that the model does not have.
    wrongly_shaped : list of str
        Those that both have, with another shape or dtype; they are unchanged.
    """

    loaded: list[str]
    missing: list[str]
    unexpected: list[str]
    wrongly_shaped: list[str]

    def __str__(self) -> str:
        kinds = {name.replace("_", " "): names for name, names in self._asdict().items() if name != "loaded"}
        left = "".join(f"; {kind}: {', '.join(names)}" for kind, names in kinds.items() if names)
        return f"{counted(len(self.loaded), 'weight')} loaded{left}"


def load_weights(
    model: Layer, path: str | os.PathLike[str], checked: bool = True, partial: bool = False
) -> PartialLoad | None:
    """Load the weights in a file of `save_weights` or `save_model` into a built model.

    On an error the model is unchanged.

    Parameters
    ----------
    model : Layer
        A built model of the same architecture; values are cast to its dtype.
    path : str or path
        A safetensors file.
    checked : bool
        Require the checksum that `save_weights` writes. With False, files of other programs are read as well,
        in which damaged values go unnoticed, since the format itself has no checksum.
    partial : bool
        Take what fits by name and shape, such as the trunk of a net for other classes, and return what was
        left. By default, everything must fit.

    Returns
    -------
    PartialLoad or None
        With `partial`, the names of what was loaded and what was not.

    Raises
    ------
    FileFormatError
        If the file is no safetensors file, is incomplete or damaged.
    ValueError
        If names or shapes differ; with `partial`, if nothing fits. The message lists the missing, unexpected
        and wrongly shaped ones.
    """
    check_built(model)
    tensors, _ = read_tensors(path, checked)
    if partial:
        return _load_what_fits(model, tensors, path)
    check_weights(model, tensors, path)
    model.set_weights([tensors[name] for name, _ in model.named_parameters()])
    return None


def _load_what_fits(
    model: Layer, tensors: Mapping[str, np.ndarray], path: str | os.PathLike[str]
) -> PartialLoad:
    parameters = dict(model.named_parameters())
    fits = {
        name: name in tensors and tensors[name].shape == p.shape and tensors[name].dtype.kind == "f"
        for name, p in parameters.items()
    }
    report = PartialLoad(
        [name for name, fit in fits.items() if fit],
        [name for name in parameters if name not in tensors],
        sorted(tensors.keys() - parameters.keys()),
        [name for name, fit in fits.items() if not fit and name in tensors],
    )
    if parameters and not report.loaded:
        raise ValueError(f"no weight in {path} fits the model: {report}")
    weights = [tensors[name] if fits[name] else parameter.value for name, parameter in parameters.items()]
    model.set_weights(weights)
    return report


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


def check_built(model: Layer) -> None:
    """Raise unless this is a model that is built, since it has no weights before."""
    if not isinstance(model, Layer):
        raise TypeError(f"`model` must be a layer or model, got {model!r:.80}")
    if model.input_shape is None:
        raise RuntimeError("a model must be built before its weights are saved or loaded: call `build` first")
