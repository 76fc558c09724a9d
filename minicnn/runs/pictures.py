"""The pictures in a run's folder: how the training went, and what the model still gets wrong."""

from __future__ import annotations

import numpy as np

from minicnn.metrics import confusion_matrix
from minicnn.ops.activations import softmax
from minicnn.runs.data import Data, class_names
from minicnn.runs.folder import Run
from minicnn.runs.train import TrainResult


def draw(run: Run, data: Data, outcome: TrainResult) -> None:
    """Draw `curves.png`, `confusion.png` and `errors.png` into the folder of a run that was judged.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the model's outputs are not finite, or there are none.
    """
    from minicnn import plots  # not above: everything else about runs does without matplotlib

    if outcome.logits is None or not np.isfinite(outcome.logits).all():
        raise ValueError("the model's outputs must be finite to be drawn")
    name, (images, labels) = data.judges
    probabilities = softmax(outcome.logits)
    names = class_names(run.config.dataset, probabilities.shape[1])
    test = {key: outcome.result[f"test_{key}"] for key in ("loss", "accuracy")} if name == "test" else None
    pictures = {
        "curves.png": plots.learning_curves(outcome.history, test),
        "confusion.png": plots.confusion_matrix(confusion_matrix(labels, probabilities), names),
        "errors.png": plots.mistakes(images, labels, probabilities, names),
    }
    for file, figure in pictures.items():
        figure.savefig(run.folder / file)
