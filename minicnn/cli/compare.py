"""`minicnn compare`."""

import argparse
from pathlib import Path
from typing import Any

from minicnn.cli.output import write_results
from minicnn.cli.parser import Commands, add_command

_TEXT = """\
Compare LeNet-5 in minicnn, TensorFlow and Keras, if these are installed: outputs and gradients of each layer,
loss curves, accuracy, time and memory. Writes compare.json and compare.png."""
_EXAMPLE = "minicnn compare --steps 100 --out runs/compare"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "compare", run, "compare with TensorFlow and Keras", _TEXT, _EXAMPLE)

    def add(name: str, default: int, help: str) -> None:
        text = f"{help} (default: {default})"
        parser.add_argument(f"--{name}", metavar="N", type=int, default=default, help=text)

    add("steps", 100, "training steps of the loss curves")
    add("batch-size", 128, "images per step")
    add("seed", 0, "seed of the initial weights and the order of the images")
    add("test-images", 10_000, "test images for the accuracy")
    parser.add_argument(
        "--out", metavar="DIR", default="runs/compare", help="output folder (default: runs/compare)"
    )


def run(args: argparse.Namespace) -> int:
    """Compare."""
    from minicnn.interop import compare
    from minicnn.interop.parity.report import compare_text

    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    results = compare(args.steps, args.batch_size, args.seed, args.test_images)
    print(compare_text(results), flush=True)
    write_results(folder, "compare", results, _draw)
    return 0


def _draw(results: Any) -> Any:
    from minicnn.plots import comparison  # needs matplotlib

    return comparison(results)
