"""The sections of a report, each of them a function that yields fragments of HTML."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from minicnn import plots
from minicnn.metrics import confusion_matrix
from minicnn.ops.activations import softmax
from minicnn.plural import counted
from minicnn.runs.folder import Run
from minicnn.runs.page import paragraph, picture, preformatted, table
from minicnn.runs.records import RESULT, read_history, read_result

_MAPPED = 1500  # images in the map of the last hidden layer; more would hide each other


@dataclass(frozen=True)
class Evaluation:
    """A trained run, evaluated on images of one part of its data."""

    run: Run
    part: str
    images: np.ndarray
    labels: np.ndarray
    scores: dict[str, float]
    logits: np.ndarray

    @property
    def headline(self) -> str:
        """The scores in one sentence."""
        config, accuracy = self.run.config, self.scores["accuracy"]
        return (
            f"{self.run.title} on {config.dataset}: {100 * accuracy:.2f} % of "
            f"{counted(len(self.images), f'{self.part} image'.strip())} right "
            f"(error {100 * (1 - accuracy):.2f} %, loss {self.scores['loss']:.4g})"
        )

    @cached_property
    def names(self) -> list[str]:
        """The names of the classes."""
        return self.run.class_names

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Shape (N, K)."""
        return softmax(self.logits)

    @cached_property
    def mistakes(self) -> np.ndarray:
        """The indices of the images that are classified wrongly."""
        return np.flatnonzero(self.probabilities.argmax(axis=1) != self.labels)

    @property
    def example(self) -> int:
        """The index of the mistake with the highest probability; without mistakes, of the first image."""
        if not self.mistakes.size:
            return 0
        return int(self.mistakes[self.probabilities[self.mistakes].max(axis=1).argmax()])


def _configuration(evaluation: Evaluation) -> Iterator[str]:
    yield table(_texts(evaluation.run.config.to_dict()))


def _result(evaluation: Evaluation) -> Iterator[str]:
    folder = evaluation.run.folder
    if (folder / RESULT).exists():
        yield table(_texts(read_result(folder)))
    elif folder.is_dir():
        yield paragraph("The training has not finished.")


def _layers(evaluation: Evaluation) -> Iterator[str]:
    yield preformatted(evaluation.run.model.summary(), "Table of the layers")


def _learning(evaluation: Evaluation) -> Iterator[str]:
    if not evaluation.run.folder.is_dir():  # a model file has no history
        return
    history = read_history(evaluation.run.folder)
    last = ", ".join(f"{name} {values[-1]:.4g}" for name, values in history.history.items())
    test = evaluation.scores if evaluation.part == "test" else None
    yield picture(
        plots.learning_curves(history, test), f"Loss and error by epoch. At the end: {last or 'no epoch'}."
    )


def _confusion(evaluation: Evaluation) -> Iterator[str]:
    names, matrix = evaluation.names, confusion_matrix(evaluation.labels, evaluation.logits)
    wrong = matrix * ~np.eye(len(matrix), dtype=bool)
    truth, answer = np.unravel_index(wrong.argmax(), wrong.shape)
    text = "There is no mistake."
    if count := int(wrong[truth, answer]):
        text = f"The most frequent mistake: {names[truth]} answered as {names[answer]}, "
        text += f"{counted(count, 'time')}."
    yield picture(plots.confusion_matrix(matrix, names), f"Confusion matrix. {text}")


def _mistakes(evaluation: Evaluation) -> Iterator[str]:
    shown = plots.mistakes(evaluation.images, evaluation.labels, evaluation.probabilities, evaluation.names)
    number, total = counted(len(evaluation.mistakes), "mistake"), counted(len(evaluation.images), "image")
    yield picture(shown, f"The most confident of {number} in {total}.")


def _kernels(evaluation: Evaluation) -> Iterator[str]:
    for name, parameter in evaluation.run.model.named_parameters():
        if parameter.value.ndim == 4:
            height, width, channels, filters = parameter.shape
            text = f"The {height}x{width} kernels of {counted(filters, 'filter')}"
            yield paragraph(name)
            yield picture(
                plots.kernels(parameter.value), f"{text} over {counted(channels, 'channel')}, {name}."
            )


def _one_image(evaluation: Evaluation) -> Iterator[str]:
    model, names, k = evaluation.run.model, evaluation.names, evaluation.example
    answer = names[evaluation.probabilities[k].argmax()]
    kind = f"a {evaluation.part} image" if evaluation.part else "an image"
    shown = f"{kind} of {names[evaluation.labels[k]]}, answered {answer}"
    yield paragraph(f"The most confident mistake: {shown}." if evaluation.mistakes.size else f"{shown}.")
    image = evaluation.images[k]
    yield picture(plots.feature_maps(model, image, names), f"Outputs of all layers for {shown}.")
    text = f"Pixels that decide the answer to {shown}: by gradient, occlusion and Grad-CAM."
    yield picture(plots.saliency(model, image, None, names), text)


def _map(evaluation: Evaluation) -> Iterator[str]:
    if len(evaluation.images) > 1:
        some = slice(0, _MAPPED)
        figure = plots.embedding(
            evaluation.run.model, evaluation.images[some], evaluation.labels[some], evaluation.names
        )
        yield picture(
            figure, "Images as points: those with similar outputs of the last hidden layer are close."
        )


def _texts(values: dict[str, Any]) -> dict[str, str]:
    """Return values as text, nested ones under the path of their names."""
    texts: dict[str, str] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            texts |= {f"{name}: {inner}": text for inner, text in _texts(value).items()}
        elif value is not None:
            texts[name.replace("_", " ")] = value if isinstance(value, str) else json.dumps(value)
    return texts


# A section without fragments is left out.
SECTIONS = {
    "Configuration": _configuration,
    "Result": _result,
    "Layers": _layers,
    "Learning curves": _learning,
    "Confusion matrix": _confusion,
    "Mistakes": _mistakes,
    "Kernels": _kernels,
    "One image, layer by layer": _one_image,
    "Map of the last hidden layer": _map,
}
