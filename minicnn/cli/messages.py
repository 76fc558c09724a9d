"""The messages of `minicnn train`: what is trained, each epoch, the result, and the next commands."""

import shlex
from dataclasses import replace
from typing import cast

import numpy as np

from minicnn.cli.output import fill
from minicnn.config.registry import custom_classes
from minicnn.datasets import DATASETS
from minicnn.plural import counted
from minicnn.runs import Data, Run, TrainConfig, TrainResult

_NAMES = 15  # width of the column of names
_MOST_CLASSES = 20  # that are listed


def say(text: str) -> None:
    """Print to stdout; if its disk is full, continue: the command reports it when it ends."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError:
        pass


def describe(run: Run, data: Data, ranks: int = 1) -> str:
    """Return what is going to be trained, on what, and how."""
    config, model = run.config, run.model
    epochs, batch_size = cast(int, config.epochs), cast(int, config.batch_size)
    parameters = sum(parameter.size for parameter in model.parameters())
    rows = {
        "model": f"{config.model}: {counted(len(model), 'layer')}, {counted(parameters, 'parameter')}",
        "data": _data_text(config.dataset, data, config.augment),
        **({"classes": _classes_text(data)} if data.own else {}),
        "training": f"{counted(epochs, 'epoch')} in batches of {batch_size}{_chosen_text(config, data)}, "
        f"{config.optimizer}, {config.schedule} learning rate {config.lr:g}, "
        f"weight decay {config.weight_decay:g}, "
        + (f"label smoothing {config.label_smoothing:g}, " if config.label_smoothing else "")
        + f"seed {config.seed}"
        + (f", on {counted(ranks, 'rank')}" if ranks > 1 else ""),
        "run folder": str(run.folder),
    }
    return "\n".join(_row(name, text) for name, text in rows.items())


def _chosen_text(config: TrainConfig, data: Data) -> str:
    """Return which of epochs and batch size are the default for the number of images."""
    images = len(data.train[1])
    own = replace(config, epochs=None, batch_size=None).for_images(images)
    if config.dataset in DATASETS or own.batch_size != config.batch_size:
        return ""
    what = "both" if own.epochs == config.epochs else "batch size"
    return f" ({what} chosen for {counted(images, 'image')})"


def _data_text(dataset: str, data: Data, distorted: bool) -> str:
    part, (images, _) = data.evaluation
    trained = data.train[0]
    kind = f" ({data.kind})" if data.kind not in ("", dataset) else ""
    held_out = ""
    if data.validation is not None and part != "validation":
        held_out = f", {counted(len(data.validation[0]), 'validation image')}"
    return (
        f"{dataset}{kind}: {counted(len(trained), 'image')} of "
        f"{'x'.join(map(str, trained.shape[1:]))}{', distorted' if distorted else ''}{held_out}, "
        f"evaluated on {counted(len(images), f'{part} image')}"
    )


def _classes_text(data: Data) -> str:
    """Return the classes, each with the number of its images in all parts."""
    parts = [labels for _, labels in filter(None, (data.train, data.validation, data.test))]
    counts = sum(np.bincount(labels, minlength=data.num_classes) for labels in parts)
    names = data.class_names or [str(number) for number in range(data.num_classes)]
    shown = [f"{name} {count:,}" for name, count in zip(names, np.asarray(counts), strict=True)]
    more = [f"and {len(shown) - _MOST_CLASSES} more"] if len(shown) > _MOST_CLASSES else []
    return f"{len(shown)}: {', '.join(shown[:_MOST_CLASSES] + more)}"


def report(result: TrainResult, data: Data) -> str:
    """Return the scores, the time and the memory."""
    values, (part, (images, _)) = result.values, data.evaluation
    accuracy, loss = values[f"{part}_accuracy"], values[f"{part}_loss"]
    memory = f", peak memory {values['peak_memory_mb']:.0f} MB" if values["peak_memory_mb"] else ""
    scores = (
        f"{100 * accuracy:.2f} % of {counted(len(images), f'{part} image')} "
        f"(error {100 * (1 - accuracy):.2f} %, loss {loss:.4g})"
    )
    costs = f"{values['seconds']:.1f} s, {values['images_per_second']:,.0f} images/s{memory}"
    return f"{_row('accuracy', scores)}\n{_row('training time', costs)}"


def next_steps(run: Run, interrupted: bool = False, ranks: int = 1) -> str:
    """Return the files of the run, and the commands that use or resume it."""
    folder = _quoted(str(run.folder))
    start = f"mpiexec -n {ranks} " if ranks > 1 else ""
    file = _quoted(run.config.model.rpartition(":")[0])
    custom = f" --custom {file}" if custom_classes(run.model) else ""
    commands = [f"{start}minicnn train --resume {folder}{custom}"] if interrupted else []
    commands += [f"minicnn {name} {folder}{custom}" for name in ("evaluate", "report")]
    if (run.model.input_shape or ())[-1:] in ((1,), (3,)):  # as pictures have them
        commands.append(f"minicnn predict {folder}{custom} IMAGE...")
    files = ", ".join(sorted(path.name for path in run.folder.iterdir() if not path.name.startswith(".")))
    indent = "\n" + " " * _NAMES
    return f"{_row('written to', f'{run.folder}: {files}')}\n{'next':<{_NAMES}}{indent.join(commands)}"


def _quoted(path: str) -> str:
    """Return a path as a shell takes it, and a command, which would take one with a hyphen for an option.

    >>> _quoted("-my runs/1")
    "'./-my runs/1'"
    """
    return shlex.quote(f"./{path}" if path.startswith("-") else path)


def _row(name: str, text: str) -> str:
    return fill(text, f"{name:<{_NAMES}}")
