"""`minicnn predict`."""

import argparse
import sys

import numpy as np

from minicnn.cli.errors import one_line
from minicnn.cli.parser import Commands, add_command
from minicnn.ops.activations import softmax
from minicnn.runs import Run, check_outputs, open_run
from minicnn.runs.data import class_names, pad_images

_TEXT = """\
Classify pictures of digits (PNG, JPEG or another format; any size; light on dark or dark on light). Each is
cropped, scaled and centred in the way MNIST was made."""
_EXAMPLE = "minicnn predict runs/first seven.png photo.jpg"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "predict", run, "classify pictures", _TEXT, _EXAMPLE)
    parser.add_argument("folder", metavar="RUN", help="run folder")
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="picture of one digit")


def run(args: argparse.Namespace) -> int:
    """Predict image by image; return 2 if any could not be read."""
    from minicnn.datasets.images import load_digit_image

    trained = open_run(args.folder)
    blank = pad_images(np.zeros((1, 28, 28, 1), np.uint8), trained.config.model)
    if blank.shape[1:] != trained.model.input_shape:
        raise ValueError(
            f"pictures become digits of shape (28, 28, 1), but this model takes {trained.model.input_shape}"
        )
    status = 0
    for path in args.images:
        try:
            image = load_digit_image(path)
        except (ValueError, OSError) as error:
            print(f"minicnn predict: {one_line(error)}", file=sys.stderr)
            status = 2
        else:
            print(f"{path}: {answer(trained, image)}", flush=True)
    return status


def answer(trained: Run, image: np.ndarray) -> str:
    """Return the most likely class of an image (28, 28, 1), and the three best with probabilities."""
    with np.errstate(all="ignore"):
        logits = trained.model.predict(pad_images(image[np.newaxis], trained.config.model))
    check_outputs(logits)
    (probabilities,) = softmax(logits)
    names = class_names(trained.config.dataset, len(probabilities))
    best = np.argsort(-probabilities, kind="stable")[:3]
    return f"{names[best[0]]}  ({', '.join(f'{names[k]} {100 * probabilities[k]:.1f} %' for k in best)})"
