"""`minicnn profile`."""

import argparse
from pathlib import Path

from minicnn.cli.parser import Commands, add_command
from minicnn.cli.trained import add_network, network
from minicnn.layers import Sequential
from minicnn.models import alexnet

_TEXT = """\
Time each layer of a network, forward and backward, in training steps that leave the weights as they are:
milliseconds, MACs, GFLOP/s and their share of the machine's measured peak, and bytes."""
_EXAMPLE = "minicnn profile --model lenet5 --batch-size 128 --out profile.png"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "profile", run, "time each layer of a network", _TEXT, _EXAMPLE)
    add_network(parser, "alexnet")
    for name, default, help in (
        ("batch-size", 128, "images per step"),
        ("threads", 1, "BLAS threads; the threads of `minicnn train` divide the batch instead"),
    ):
        text = f"{help} (default: {default})"
        parser.add_argument(f"--{name}", metavar="N", type=int, default=default, help=text)
    parser.add_argument(
        "--steps", metavar="N", type=int, help="steps to time (default: as many as fit in 3 s)"
    )
    parser.add_argument("--json", metavar="FILE", help="write the numbers to FILE")
    parser.add_argument("--out", metavar="FILE.png", help="draw a chart to FILE.png")


def run(args: argparse.Namespace) -> int:
    """Profile."""
    from minicnn.profiling import profile, profile_text
    from minicnn.runs.records import write_json

    if args.out:
        if Path(args.out).suffix not in (".png", ".svg", ".pdf"):
            raise ValueError(f"--out must end in .png, .svg or .pdf, got {args.out}")
        from minicnn.plots import profile_chart  # fails before the measurement if matplotlib is missing
    found = profile(_model(args), args.batch_size, args.threads, args.steps)
    print(profile_text(found))
    if args.json:
        write_json(Path(args.json), found)
    if args.out:
        profile_chart(found).savefig(args.out)
    return 0


def _model(args: argparse.Namespace) -> Sequential:
    if args.folder or args.model != "alexnet":
        return network(args)
    return alexnet(args.classes if args.input else 1000).build(args.input or (227, 227, 3), rng=0)
