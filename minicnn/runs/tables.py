"""The sections of a report that have numbers: each a function that yields tables in HTML."""

from collections.abc import Iterator

from minicnn.plural import counted
from minicnn.runs.evaluation import Evaluation
from minicnn.runs.page import paragraph, preformatted, table
from minicnn.runs.records import RESULT, read_result
from minicnn.runs.wording import config_in_words, in_words, percent, software_in_words


def layers(evaluation: Evaluation) -> Iterator[str]:
    """Yield the summary of the model."""
    yield preformatted(evaluation.run.model.summary(), "Table of the layers")


def evaluated(evaluation: Evaluation) -> Iterator[str]:
    """Yield how many images are answered rightly."""
    images, wrong = len(evaluation.images), len(evaluation.mistakes)
    yield table(
        {
            "evaluated on": counted(images, f"{evaluation.part} image".strip()),
            "right": f"{images - wrong:,} ({percent(1 - wrong / images)})",
            "wrong": f"{wrong:,} ({percent(wrong / images)})",
            "loss": f"{evaluation.scores['loss']:.3g}, the mean cross-entropy in nats",
        }
    )


def training(evaluation: Evaluation) -> Iterator[str]:
    """Yield what the training was and cost."""
    folder = evaluation.run.folder
    if (folder / RESULT).exists():
        result = read_result(folder)
        state = "interrupted" if result.pop("interrupted", False) else "finished"
        scores = [name for name in result if name.endswith(("_loss", "_accuracy"))]  # stand under Evaluation
        for name in ("environment", "seed", *scores):
            result.pop(name, None)
        yield table({"state": state} | in_words(result))
    elif folder.is_dir():
        yield paragraph("The training has not finished.")


def settings(evaluation: Evaluation) -> Iterator[str]:
    """Yield the configuration, as far as its data use it."""
    yield table(config_in_words(evaluation.run.config.to_dict()))


def software(evaluation: Evaluation) -> Iterator[str]:
    """Yield versions and the processor."""
    folder = evaluation.run.folder
    if (folder / RESULT).exists() and (rows := software_in_words(read_result(folder).get("environment"))):
        yield table(rows)
