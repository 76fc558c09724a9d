"""`minicnn predict`."""

import argparse
import csv
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.cli.errors import escaped, one_line
from minicnn.cli.parser import Commands, add_command
from minicnn.cli.trained import add_trained, opened
from minicnn.datasets.class_folders import is_litter
from minicnn.datasets.picture_files import SUFFIXES, quiet, shown
from minicnn.ops.activations import softmax
from minicnn.runs import Run, check_outputs
from minicnn.runs.inputs import Reader, input_reader
from minicnn.saving.preprocessing import DIGIT

_TEXT = """\
Classify pictures: PNG, JPEG or another format, of any size. Each is prepared as those that the network was
trained on; for a network of MNIST's digits it is cropped, scaled and centred in the way MNIST was made.
A folder means all pictures in it."""
_EXAMPLE = """\
minicnn predict runs/first seven.png photo.jpg
minicnn predict net.safetensors photos/ --top 1 --csv > classes.csv"""
_BATCH = 64  # pictures that are read, then classified together


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "predict", run, "classify pictures", _TEXT, _EXAMPLE)
    add_trained(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="picture, or folder of pictures")
    parser.add_argument("--top", metavar="K", type=int, default=3, help="classes to print (default: 3)")
    table = "print a table: file, then class and probability K times"
    parser.add_argument("--csv", action="store_true", help=table)
    digit = "treat each picture as one handwritten digit, whatever the network was trained on"
    parser.add_argument("--digit", action="store_true", help=digit)


def run(args: argparse.Namespace) -> int:
    """Predict picture by picture; return 2 if any could not be read."""
    if args.top < 1:
        raise ValueError(f"--top must be at least 1, got {args.top}")
    trained = opened(args)
    if args.digit:
        check_digits(trained)
        trained.model.preprocessing = DIGIT
    read = input_reader(trained.model)
    if trained.model.preprocessing is None:
        size = "x".join(map(str, (trained.model.input_shape or ())[:2]))
        _warn(f"{trained.title} does not say how pictures became its inputs: each is cropped to {size}")
    paths, status = list_pictures(args.images)
    count = min(args.top, len(trained.class_names))
    write = _csv_writer(count) if args.csv else _write_line
    for path, logits in _outputs(trained, read, paths):
        if logits is None:
            status = 2
            continue
        (probabilities,) = softmax(check_outputs(logits[np.newaxis]))
        best = np.argsort(-probabilities, kind="stable")[:count]
        write(path, [(trained.class_names[k], float(probabilities[k])) for k in best])
    return status


def check_digits(trained: Run) -> None:
    """Raise ValueError unless the network takes images that a digit of 28x28 pixels can be padded to."""
    shape = trained.model.input_shape or ()
    if len(shape) != 3 or min(shape[:2]) < 28 or shape[2] != 1:
        raise ValueError(f"pictures become digits of shape (28, 28, 1), but this model takes {shape}")


def list_pictures(names: Sequence[str]) -> tuple[list[str], int]:
    """Return the files, those of folders sorted; and 2 as the status if a folder has no picture, else 0."""
    paths, status = [], 0
    for name in names:
        if not Path(name).is_dir():
            paths.append(name)
            continue
        inside = []
        for folder, folders, files in os.walk(name):
            folders[:] = [inner for inner in folders if not is_litter(inner)]
            pictures = [file for file in files if Path(file).suffix.lower() in SUFFIXES]
            inside += [os.path.join(folder, file) for file in pictures if not is_litter(file)]
        inside.sort()
        paths += inside
        if not inside:
            _warn(f"{name} has no pictures")
            status = 2
    return paths, status


def _outputs(trained: Run, read: Reader, paths: Sequence[str]) -> Iterator[tuple[str, np.ndarray | None]]:
    """Yield each path with its logits, or None if it cannot be read, which is reported."""
    from concurrent.futures import ThreadPoolExecutor

    def attempt(path: str) -> np.ndarray | Exception:
        try:
            return read(path)
        except (ValueError, OSError) as error:
            return error

    with quiet(), progress_bar(len(paths)) as bar, ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), _BATCH):
            batch = paths[start : start + _BATCH]
            found = list(pool.map(attempt, batch))
            images = [image for image in found if isinstance(image, np.ndarray)]
            with np.errstate(all="ignore"):
                rows = iter(trained.model.predict(np.stack(images)) if images else ())
            for path, image in zip(batch, found, strict=True):
                bar.update()
                if isinstance(image, Exception):
                    _warn(one_line(image))
                    yield path, None
                else:
                    yield path, next(rows)


def progress_bar(count: int) -> Any:
    """Return a bar on stderr, if that is a terminal, and the answers do not appear on the same one."""
    from tqdm import tqdm

    hidden = True if sys.stdout.isatty() else None
    return tqdm(total=count, unit=" pictures", disable=hidden, delay=1, leave=False, dynamic_ncols=True)


def _write_line(path: str, best: Sequence[tuple[str, float]]) -> None:
    shares = ", ".join(f"{name} ({100 * probability:.1f} %)" for name, probability in best)
    print(f"{shown(path)}: {shares}", flush=True)


def _csv_writer(count: int) -> Callable[[str, Sequence[tuple[str, float]]], None]:
    """Print the head of the table; return what prints a line of it."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    more = [f"{name}_{k}" for k in range(2, count + 1) for name in ("class", "probability")]
    table.writerow(["file", "class", "probability", *more])

    def write(path: str, best: Sequence[tuple[str, float]]) -> None:
        table.writerow([path, *(cell for name, share in best for cell in (name, f"{share:.6f}"))])

    return write


def _warn(text: str) -> None:
    print(f"minicnn predict: {escaped(text)}", file=sys.stderr)
