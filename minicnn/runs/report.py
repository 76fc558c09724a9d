"""The report of a run: one page with all that is known of it, and pictures of what it learned."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from minicnn.metrics import accuracy, confusion_matrix
from minicnn.ops.activations import softmax
from minicnn.plural import counted
from minicnn.runs.data import class_names, load_data
from minicnn.runs.folder import RESULT, Run, read_history, read_result
from minicnn.runs.page import page, paragraph, picture, preformatted, table
from minicnn.runs.train import evaluate
from minicnn.validation import check_int

_MAPPED = 1500  # images in the map of the last hidden layer; more would hide each other


def report(run: Run, limit: int | None = None) -> str:
    """Return a report of a trained run: HTML that holds its pictures, and opens without a network.

    Parameters
    ----------
    run : Run
        From `open_run`.
    limit : int, optional
        Judge by so many images at most.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the model's outputs are not finite.
    """
    from minicnn import plots  # not above: everything else about runs does without matplotlib

    config, model = run.config, run.model
    name, (images, labels) = load_data(config).judges
    if limit is not None:
        images, labels = images[: check_int(limit, "limit", low=1)], labels[:limit]
    scores, logits = evaluate(model, images, labels, config.threads)
    if not np.isfinite(logits).all():
        raise ValueError("the network's outputs must be finite, but some are not; its training went wrong")
    probabilities = softmax(logits)
    names = class_names(config.dataset, logits.shape[1])
    matrix, right = confusion_matrix(labels, logits), accuracy(logits, labels)
    result = read_result(run.folder) if (run.folder / RESULT).exists() else {}
    history = read_history(run.folder)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    # Looked into is what went wrong most, or where nothing did, the first image.
    example = int(wrong[probabilities[wrong].max(axis=1).argmax()]) if wrong.size else 0
    shown = f"a {name} image of {names[labels[example]]}, answered {names[probabilities[example].argmax()]}"
    judged = counted(len(images), f"{name} image")
    lead = (
        f"{config.model} on {config.dataset}: {100 * right:.2f} % of {judged} right "
        f"(error {100 * (1 - right):.2f} %, loss {scores['loss']:.4g})"
    )
    sections = [
        ("Configuration", [table(_told(config.to_dict()))]),
        (
            "TrainResult",
            [table(_told(result)) if result else paragraph("The training did not come to its end.")],
        ),
        ("Layers", [preformatted(model.summary(), "Table of the layers")]),
        (
            "Learning",
            [
                picture(
                    plots.learning_curves(history, scores if name == "test" else None),
                    "Loss and error against the epoch. " + _last(history.history),
                )
            ],
        ),
        (
            "Which class was taken for which",
            [picture(plots.confusion_matrix(matrix, names), "Confusion matrix. " + _worst(matrix, names))],
        ),
        (
            "Mistakes",
            [
                picture(
                    plots.mistakes(images, labels, probabilities, names),
                    f"The surest of {counted(len(wrong), 'mistake')} in {counted(len(images), 'image')}.",
                )
            ],
        ),
        ("Kernels", _kernels(run)),
        (
            "One image on its way through the layers",
            [
                paragraph(f"The surest mistake: {shown}." if wrong.size else f"Here: {shown}."),
                picture(
                    plots.feature_maps(model, images[example], names), f"Outputs of all layers for {shown}."
                ),
                picture(
                    plots.evidence(model, images[example], None, names),
                    f"The pixels on which the answer to {shown}, hangs: by gradient, occlusion and Grad-CAM.",
                ),
            ],
        ),
    ]
    if min(len(images), len(labels)) > 1:
        some = slice(0, _MAPPED)
        mapped = plots.hidden_map(model, images[some], labels[some], names)
        text = "Images as points, near each other where the last hidden layer takes them for alike."
        sections.append(("What the network takes for alike", [picture(mapped, text)]))
    return page(f"Run {run.folder.resolve().name}", lead, sections)


def _kernels(run: Run) -> Iterator[str]:
    from minicnn import plots

    for name, parameter in run.model.named_parameters():
        if parameter.value.ndim == 4:
            height, width, channels, filters = parameter.shape
            text = f"The {height}x{width} kernels of {counted(filters, 'filter')}"
            text += f" over {counted(channels, 'channel')}, {name}."
            yield paragraph(name)
            yield picture(plots.kernels(parameter.value), text)


def _told(values: dict[str, Any]) -> dict[str, str]:
    """Return values as text: numbers as JSON has them, and what is nested, each thing by its path."""
    told: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            told |= {f"{name}: {inner}": text for inner, text in _told(value).items()}
        elif value is not None:
            told[name.replace("_", " ")] = value if isinstance(value, str) else json.dumps(value)
    return told


def _last(history: dict[str, list[float]]) -> str:
    return "At the end: " + ", ".join(f"{name} {values[-1]:.4g}" for name, values in history.items()) + "."


def _worst(matrix: np.ndarray, names: list[str]) -> str:
    """Return a sentence on the most frequent mistake."""
    mistakes = matrix * ~np.eye(len(matrix), dtype=bool)
    truth, answer = np.unravel_index(mistakes.argmax(), matrix.shape)
    count = mistakes[truth, answer]
    if not count:
        return "There is no mistake."
    return f"The most frequent mistake: {names[truth]} answered as {names[answer]}, {counted(count, 'time')}."
