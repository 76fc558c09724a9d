"""A trained model from whatever a command names: a run folder, or a model file of any net."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from minicnn.datasets import DATASETS
from minicnn.layers import Layer, Sequential
from minicnn.runs.config import TrainConfig
from minicnn.runs.folder import CONFIG, MODEL, Run, open_run
from minicnn.saving import load_model
from minicnn.validation import check_file


def open_trained(path: str | os.PathLike[str], custom_layers: Iterable[type[Layer]] = ()) -> Run:
    """Return a trained model as a run, from a run folder or from a model file.

    The configuration of a model file is what `minicnn train` recorded in it. Its data set is empty unless it
    is a named one, since a path of another machine says nothing here.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or file.
    FileFormatError
        If it is not as this package writes it, or has layers of others that are not in `custom_layers`.
    """
    path = Path(path)
    if path.is_dir() or not (path.exists() or path.suffix == ".safetensors"):
        return open_run(path, custom_layers)
    path = check_file(path, "a run folder or model file")
    if path.name == MODEL and (path.parent / CONFIG).is_file():
        return open_run(path.parent, custom_layers)
    model = _as_sequential(load_model(path, custom_layers))
    return Run(path, _config(path, model), model)


def _config(path: Path, model: Sequential) -> TrainConfig:
    settings = model.made_by.get("settings")
    try:
        config = TrainConfig.from_dict(settings if isinstance(settings, dict) else {})
    except (TypeError, ValueError):  # made by hand, or by another version
        config = TrainConfig(model=f"{path.name}:model", dataset="")
    return config if config.dataset in DATASETS else replace(config, dataset="", data=None, labels=None)


def _as_sequential(model: Layer) -> Sequential:
    """Return the model, or a Sequential of it alone, which the commands can take apart."""
    if isinstance(model, Sequential):
        return model
    net = Sequential([model])
    net.input_shape, net.output_shape, net.dtype = model.input_shape, model.output_shape, model.dtype
    net.class_names, net.preprocessing, net.made_by = model.class_names, model.preprocessing, model.made_by
    return net
