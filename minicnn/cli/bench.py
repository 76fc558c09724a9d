"""`minicnn bench`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from minicnn.cli.output import write_results
from minicnn.cli.parser import Commands, add_command

_TEXT = """\
Compare the speed of minicnn with Keras, PyTorch, tinynn and DeZero, as far as
they are installed. Each framework runs in its own process; frameworks take
turns, and ratios compare values of the same round. Writes bench.json and
bench.png.

Subjects: epoch, inference, cold-start, conv, growth, memory, size, threads. All
of them take about ten minutes.

For PyTorch, the extra minicnn-numpy[bench] installs the build on PyPI, which is
a large CUDA build on Linux. The small CPU build is on PyTorch's own index:
  pip install torch --index-url https://download.pytorch.org/whl/cpu"""
_EXAMPLE = "minicnn bench epoch inference --rounds 5 --python torch=other-venv/bin/python"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "bench", run, "measure the speed beside other frameworks", _TEXT, _EXAMPLE)
    parser.add_argument("subjects", metavar="SUBJECT", nargs="*", help="what to measure (default: all)")
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="turns of each (default: 3)")
    parser.add_argument("--limit", metavar="N", type=int, help="a quick trial, on at most so many images")
    parser.add_argument(
        "--threads", metavar="N", type=int, help="cores for each (default: all that may be used)"
    )
    parser.add_argument(
        "--peers", metavar="NAME", nargs="+", help="beside whom (default: keras torch tinynn dezero)"
    )
    parser.add_argument(
        "--python",
        metavar="PEER=PATH",
        type=interpreter,
        action="append",
        default=[],
        help="the Python of a framework that is installed in another virtual environment",
    )
    parser.add_argument(
        "--out", metavar="DIR", default="runs/bench", help="where to write (default: runs/bench)"
    )


def run(args: argparse.Namespace) -> int:
    """Measure; return 130 if Ctrl-C ended it, what there was until then being written."""
    from minicnn.bench import PEERS, SUBJECTS, bench, bench_text
    from minicnn.bench.report import growth

    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    results = bench(
        args.subjects or SUBJECTS,
        rounds=args.rounds,
        limit=args.limit,
        peers=args.peers or PEERS,
        pythons=dict(args.python),
        threads=args.threads,
        say=lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(bench_text(results), flush=True)
    write_results(folder, "bench", results, lambda plots: plots.benchmark(results, growth(results)))
    return 130 if results["interrupted"] else 0


def interpreter(text: str) -> tuple[str, str]:
    """Return "torch=PATH" as a pair."""
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise argparse.ArgumentTypeError(f"must be PEER=PATH, got {text!r}")
    return name, path
