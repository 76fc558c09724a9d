"""`minicnn export`."""

import argparse
from pathlib import Path

from minicnn.cli.parser import Commands, add_command
from minicnn.cli.trained import add_trained, opened

_TEXT = """\
Export a trained network to an ONNX file, for onnxruntime and other software. Its inputs are images of shape
(N, H, W, C), as in minicnn, but as floats in [0, 1]: uint8 pixels divided by 255."""
_EXAMPLE = "minicnn export runs/first model.onnx"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "export", run, "export a trained network to ONNX", _TEXT, _EXAMPLE)
    add_trained(parser)
    parser.add_argument("file", metavar="FILE", help="output file, ending in .onnx")


def run(args: argparse.Namespace) -> int:
    """Export."""
    from minicnn.interop.onnx import save_onnx

    if Path(args.file).suffix != ".onnx":
        raise ValueError(f"FILE must end in .onnx, got {args.file}")
    model = opened(args).model
    save_onnx(model, args.file)
    shapes = [", ".join(["N", *map(str, shape)]) for shape in (model.input_shape or (), model.output_shape)]
    print(f"written to {args.file}: float32 images ({shapes[0]}) in [0, 1] to logits ({shapes[1]})")
    return 0
