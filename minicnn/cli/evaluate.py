"""`minicnn evaluate`."""

import argparse
import json
from collections.abc import Iterator

import numpy as np

from minicnn.cli.output import fill
from minicnn.cli.parser import Commands, add_command, add_dataset
from minicnn.cli.trained import add_trained, opened
from minicnn.metrics import confusion_matrix
from minicnn.plural import counted
from minicnn.profiling.tables import text_width
from minicnn.runs import check_outputs, evaluate, load_evaluation_data

_TEXT = "Evaluate a trained network on the test images of its data set or of another one."
_EXAMPLE = "minicnn evaluate runs/first"
_MOST_SHOWN = 20  # classes; a larger table is for --json


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "evaluate", run, "evaluate a trained network", _TEXT, _EXAMPLE)
    add_trained(parser)
    add_dataset(parser, None, "that of the run")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Evaluate and print the scores."""
    trained = opened(args)
    config = trained.config
    dataset = args.dataset or config.dataset
    part, (images, labels) = load_evaluation_data(config, trained.model, args.dataset, args.data, args.labels)
    scores, logits = evaluate(trained.model, images, labels)
    check_outputs(logits)
    matrix = confusion_matrix(labels, logits)
    if args.json:
        print(
            json.dumps(
                {
                    "dataset": dataset,
                    "images": len(images),
                    **scores,
                    "confusion": matrix.tolist(),
                    "classes": trained.class_names,
                }
            )
        )
        return 0
    accuracy, loss = scores["accuracy"], scores["loss"]
    shown = f"accuracy {100 * accuracy:.2f} % of {counted(len(images), f'{part} image'.strip())} of {dataset}"
    print(fill(f"{shown} (error {100 * (1 - accuracy):.2f} %, loss {loss:.4g})"))
    if len(matrix) <= _MOST_SHOWN:
        print(f"\n{confusion_text(matrix, trained.class_names, text_width())}")
    return 0


def confusion_text(matrix: np.ndarray, names: list[str], width: int = 80) -> str:
    r"""Return the confusion matrix as text: a row for each true class, a column for each answer.

    Names that would make the table wider than `width` are replaced by class numbers in its head. A matrix
    that is still too wide becomes a list of the classes, each with its most frequent mistake.

    >>> print(confusion_text(np.array([[8, 0], [1, 9]]), ["cat", "dog"]))
    truth \ answer  cat  dog    right
               cat    8    ·  100.0 %
               dog    1    9   90.0 %
    """
    rights = [f"{100 * row[i] / row.sum():.1f} %" if row.sum() else "·" for i, row in enumerate(matrix)]
    cells = [[f"{count}" if count else "·" for count in row] for row in matrix]
    numbers = [str(number) for number in range(len(names))]
    labels = names if names == numbers else [f"{k} {name}" for k, name in enumerate(names)]
    for head, first in ((names, names), (numbers, labels)):
        rows = [[name, *row, right] for name, row, right in zip(first, cells, rights, strict=True)]
        table = _table([["truth \\ answer", *head, "right"], *rows])
        if table.index("\n") <= width:
            return table
    return _table([["class", "images", "right", "most often taken for"], *_mistakes(matrix, names, rights)])


def _mistakes(matrix: np.ndarray, names: list[str], rights: list[str]) -> Iterator[list[str]]:
    """Yield a row for each class: its name, images, share of right answers, and most frequent mistake."""
    wrong = matrix * ~np.eye(len(matrix), dtype=bool)
    for name, right, images, row in zip(names, rights, matrix.sum(axis=1), wrong, strict=True):
        mistake = f"{names[row.argmax()]} ({row.max()})" if row.any() else "·"
        yield [name, str(images), right, mistake]


def _table(rows: list[list[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.rjust, row, widths)) for row in rows)
