"""`minicnn evaluate`."""

from __future__ import annotations

import argparse
import json

import numpy as np

from minicnn.cli.parser import Commands, add_command, add_dataset
from minicnn.metrics import confusion_matrix
from minicnn.runs import evaluate, load_test_data, open_run
from minicnn.runs.data import class_names

_TEXT = "Measure a trained network on the test images of its data set, or of another one."
_EXAMPLE = "minicnn evaluate runs/first"
_MOST_SHOWN = 20  # classes; a larger table is for --json


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "evaluate", run, "measure a trained network", _TEXT, _EXAMPLE)
    parser.add_argument("folder", metavar="RUN", help="a run folder")
    add_dataset(parser, None, "that of the run")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")


def run(args: argparse.Namespace) -> int:
    """Evaluate."""
    trained = open_run(args.folder)
    config = trained.config
    dataset, data = (config.dataset, config.data) if args.dataset is None else (args.dataset, None)
    images, labels = load_test_data(dataset, args.data or data, config.model)
    scores, logits = evaluate(trained.model, images, labels)
    if not np.isfinite(logits).all():
        raise ValueError("the network's outputs must be finite, but some are not; its training went wrong")
    matrix = confusion_matrix(labels, logits)
    if args.json:
        print(json.dumps({"dataset": dataset, "images": len(images), **scores, "confusion": matrix.tolist()}))
        return 0
    right, loss = scores["accuracy"], scores["loss"]
    print(f"accuracy {100 * right:.2f} % of {len(images):,} test images of {dataset}", end=" ")
    print(f"(error {100 * (1 - right):.2f} %, loss {loss:.4g})")
    if len(matrix) <= _MOST_SHOWN:
        print(f"\n{confusion_text(matrix, class_names(dataset, len(matrix)))}")
    return 0


def confusion_text(matrix: np.ndarray, names: list[str]) -> str:
    r"""Return the counts as text: a line for each true class, a column for each answer.

    >>> print(confusion_text(np.array([[8, 0], [1, 9]]), ["cat", "dog"]))
    truth \ answer  cat  dog    right
               cat    8    ·  100.0 %
               dog    1    9   90.0 %
    """
    cells = [[f"{count}" if count else "·" for count in row] for row in matrix]
    widths = [
        max(map(len, [name, *column])) for name, column in zip(names, zip(*cells, strict=True), strict=True)
    ]
    corner = "truth \\ answer"
    first = max(len(corner), *map(len, names))
    lines = [
        [
            corner.rjust(first),
            *(name.rjust(width) for name, width in zip(names, widths, strict=True)),
            "  right",
        ]
    ]
    for name, row, counts, i in zip(names, cells, matrix, range(len(names)), strict=True):
        share = f"{100 * counts[i] / counts.sum():5.1f} %" if counts.sum() else "      ·"
        lines.append([name.rjust(first), *(c.rjust(w) for c, w in zip(row, widths, strict=True)), share])
    return "\n".join("  ".join(line) for line in lines)
