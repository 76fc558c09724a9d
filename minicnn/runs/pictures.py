"""The pictures in a run's folder: learning curves, confusion matrix, mistakes."""

from minicnn.metrics import confusion_matrix
from minicnn.ops.activations import softmax
from minicnn.runs.data import Data
from minicnn.runs.folder import Run
from minicnn.runs.train import TrainResult, check_outputs


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
