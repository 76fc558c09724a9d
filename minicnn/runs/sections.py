"""The sections of a report, each of them a function that yields fragments of HTML: here, the pictures."""

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn import plots
from minicnn.insight.saliency import last_maps
from minicnn.metrics import confusion_matrix
from minicnn.plots.style import new_axes
from minicnn.plural import counted
from minicnn.runs import tables
from minicnn.runs.evaluation import Evaluation
from minicnn.runs.page import paragraph, picture
from minicnn.runs.records import read_history
from minicnn.runs.wording import percent
from minicnn.training import History

_MAPPED = 1500  # images in the map of the last hidden layer; more would hide each other
_PHONE = 4.8  # width in inches of a picture whose text can be read on a phone
_FEW = 10  # classes whose confusion matrix has room on a phone
Section = Callable[[Evaluation], Iterator[str]]


def _learning(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.run.folder.is_dir():  # a model file has no history
        return
    history = read_history(evaluation.run.folder)
    test = evaluation.scores if evaluation.part == "test" else None
    yield picture(
        plots.learning_curves(history, test),
        "Loss and error by epoch",
        _curves_in_words(history, test),
        plots.learning_curves(history, test, new_axes(_PHONE, 5.6, rows=2)),
    )


def _curves_in_words(history: History, test: Any) -> str:
    """Return what the curves show, and their last values."""
    parts = ["Loss and error after each epoch, on logarithmic scales."]
    if not history.epoch:
        return f"{parts[0]} No epoch has ended yet."
    last = {name: values[-1] for name, values in history.history.items()}
    names = {"": "in training (the mean over the last epoch)", "val_": "on the held-out images"}
    for prefix, name in names.items():
        if f"{prefix}loss" in last and f"{prefix}accuracy" in last:
            wrong = percent(1 - last[f"{prefix}accuracy"])
            parts.append(f"{name[0].upper()}{name[1:]}: {wrong} wrong, loss {last[f'{prefix}loss']:.3g}.")
    if test is not None:
        wrong = percent(1 - test["accuracy"])
        parts.append(f"On the test images, the diamond: {wrong} wrong, loss {test['loss']:.3g}.")
    return " ".join(parts)


def _confusion(evaluation: Evaluation) -> Iterator[str]:
    names, matrix = evaluation.names, confusion_matrix(evaluation.labels, evaluation.logits)
    wrong = matrix * ~np.eye(len(matrix), dtype=bool)
    truth, answer = np.unravel_index(wrong.argmax(), wrong.shape)
    text = "There is no mistake."
    if count := int(wrong[truth, answer]):
        text = f"The most frequent mistake: {names[truth]} answered as {names[answer]}, "
        text += "once." if count == 1 else f"{count:,} times."
    narrow = None
    if len(names) <= _FEW and max(map(len, names)) <= 3:
        narrow = plots.confusion_matrix(matrix, names, new_axes(_PHONE, _PHONE)[0], percentages=False)
    yield picture(
        plots.confusion_matrix(matrix, names),
        "Confusion matrix",
        f"A row for each true class, a column for each answer. Green is right, purple wrong. {text}",
        narrow,
    )


def _mistakes(evaluation: Evaluation) -> Iterator[str]:
    shown = evaluation.images, evaluation.labels, evaluation.probabilities, evaluation.names
    number, total = counted(len(evaluation.mistakes), "mistake"), counted(len(evaluation.images), "image")
    text = (
        f"The most confident of {number} in {total}. Below each, in purple, the answer and its probability; "
    )
    yield picture(
        plots.mistakes(*shown),
        "Images that are answered wrongly",
        text + "then the true class." if evaluation.mistakes.size else f"No mistakes in {total}.",
        plots.mistakes(*shown, count=16, columns=4),
    )


def _if_traced(section: Section) -> Section:
    """Decorate a section that looks into the model: if that is impossible, it says why."""

    @functools.wraps(section)
    def drawn(evaluation: Evaluation) -> Iterator[str]:
        try:
            yield from section(evaluation)
        except ValueError as error:
            yield paragraph(f"Not drawn, since it cannot be computed for this model: {error}.")

    return drawn


@_if_traced
def _one_image(evaluation: Evaluation) -> Iterator[str]:
    model, names, k = evaluation.run.model, evaluation.names, evaluation.example
    answer = names[evaluation.probabilities[k].argmax()]
    kind = f"a {evaluation.part} image" if evaluation.part else "an image"
    shown = f"{kind} of {names[evaluation.labels[k]]}, answered {answer}"
    yield paragraph(f"The most confident mistake: {shown}." if evaluation.mistakes.size else f"{shown}.")
    image = evaluation.images[k]
    yield picture(
        plots.feature_maps(model, image, names),
        f"Outputs of all layers for {shown}",
        "What each layer makes of the image, from top to bottom: a map for each filter, and at the end "
        "a cell for each class. Blue is positive, orange negative, darker for more.",
        plots.feature_maps(model, image, names, limit=8, width=_PHONE),
    )
    cam = " Grad-CAM: where the filters of the last convolution that speak for the class respond."
    cam *= last_maps(model) is not None
    yield picture(
        plots.saliency(model, image, None, names),
        f"Pixels that decide the answer to {shown}",
        f"Which pixels speak for {answer} (blue), and which against it (orange). Gradient: what a brighter "
        f"pixel would change. Occlusion: what is lost where a square is covered.{cam}",
        plots.saliency(model, image, None, names, new_axes(_PHONE, 5.6, columns=2, rows=2)),
    )


@_if_traced
def _map(evaluation: Evaluation) -> Iterator[str]:
    if len(evaluation.images) > 1:
        some = slice(0, _MAPPED)
        figure = plots.embedding(
            evaluation.run.model, evaluation.images[some], evaluation.labels[some], evaluation.names
        )
        yield picture(
            figure,
            "Images as points",
            "Each point is an image, coloured by its true class. Images with similar outputs of the last "
            "hidden layer are close. Of its many dimensions, these two differ most from image to image.",
            (_PHONE, _PHONE),
        )


def _kernels(evaluation: Evaluation) -> Iterator[str]:
    for name, parameter in evaluation.run.model.named_parameters():
        if parameter.value.ndim == 4:
            height, width, channels, filters = parameter.shape
            kind = f"The {height}x{width} kernels of {name.rpartition('.')[0] or name}"
            few = min(filters, 8)
            rows = 1.3 + (_PHONE - 1.6) / few * min(channels, few) * height / width
            yield picture(
                plots.kernels(parameter.value),
                f"{kind}, drawn",
                f"{kind}: {counted(filters, 'filter')}, a column each, over "
                f"{counted(channels, 'channel')}, a row each; where there are many, the first ones. "
                "Blue is positive, orange negative.",
                plots.kernels(parameter.value, few, new_axes(_PHONE, rows)[0]),
            )


# Pictures first, then what one looks up. A section without fragments is left out.
SECTIONS = {
    "Learning curves": _learning,
    "Confusion matrix": _confusion,
    "Mistakes": _mistakes,
    "One image, layer by layer": _one_image,
    "Map of the last hidden layer": _map,
    "Kernels": _kernels,
    "Evaluation": tables.evaluated,
    "Training": tables.training,
    "Settings": tables.settings,
    "Layers": tables.layers,
    "Software": tables.software,
}
