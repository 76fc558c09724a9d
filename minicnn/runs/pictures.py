"""The pictures in a run's folder: learning curves, confusion matrix, mistakes."""

from minicnn.metrics import confusion_matrix
from minicnn.ops.activations import softmax
from minicnn.runs.data import Data, load_data
from minicnn.runs.folder import Run
from minicnn.runs.records import read_history, read_result
from minicnn.runs.train import TrainResult, check_outputs, evaluate

PICTURES = ("curves.png", "confusion.png", "errors.png")


def draw(run: Run, data: Data, result: TrainResult) -> None:
    """Draw `curves.png`, `confusion.png` and `errors.png` into the folder of an evaluated run.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    ValueError
        If the model's outputs are not finite, or if there are none.
    """
    from minicnn import plots  # imported here: all else in runs does without matplotlib

    part, (images, labels) = data.evaluation
    probabilities = softmax(check_outputs(result.logits))
    names = data.class_names or [str(number) for number in range(probabilities.shape[1])]
    test = {key: result.values[f"test_{key}"] for key in ("loss", "accuracy")} if part == "test" else None
    pictures = {
        "curves.png": plots.learning_curves(result.history, test),
        "confusion.png": plots.confusion_matrix(confusion_matrix(labels, probabilities), names),
        "errors.png": plots.mistakes(images, labels, probabilities, names),
    }
    for file, figure in pictures.items():
        figure.savefig(run.folder / file)


def has_pictures(run: Run) -> bool:
    """Return whether the folder of a run has its pictures."""
    return all((run.folder / name).exists() for name in PICTURES)


def redraw(run: Run) -> None:
    """Draw the pictures of a finished run again, from its model, data and records; raises as `draw`."""
    data = load_data(run.config)
    _, (images, labels) = data.evaluation
    _, logits = evaluate(run.model, images, labels, run.config.threads)
    draw(run, data, TrainResult(read_result(run.folder), read_history(run.folder), logits))
