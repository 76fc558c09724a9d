"""`minicnn bench`."""

import argparse
import sys
from pathlib import Path
from typing import Any

from minicnn.bench import BENCHMARKS, PEERS, bench, bench_text
from minicnn.bench.report import growth
from minicnn.cli.output import write_results
from minicnn.cli.parser import Commands, add_command
from minicnn.suggestions import did_you_mean

_OTHERS = [name for name in PEERS if name != "minicnn"]
_TEXT = f"""\
Compare the speed and memory of minicnn with those of other frameworks, if they are installed:
{", ".join(_OTHERS)}. Each runs in its own process. They take turns, and ratios are computed within a round.
Writes bench.json and bench.png.

Benchmarks: {", ".join(BENCHMARKS)}. All of them take about ten minutes.

For PyTorch, the extra minicnn-numpy[bench] installs the build on PyPI, which on Linux is the large one for
CUDA. The small one for CPUs is on PyTorch's own index:

  pip install torch --index-url https://download.pytorch.org/whl/cpu"""
_EXAMPLE = "minicnn bench epoch inference --rounds 5 --python torch=other/bin/python"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "bench", run, "compare the speed with other frameworks", _TEXT, _EXAMPLE)
    benchmarks = "what to measure (default: all)"
    parser.add_argument("benchmarks", metavar="BENCHMARK", nargs="*", choices=BENCHMARKS, help=benchmarks)
    parser.add_argument("--rounds", metavar="N", type=int, default=3, help="number of rounds (default: 3)")
    parser.add_argument("--limit", metavar="N", type=int, help="use at most N images, for a quick trial")
    threads = "cores for each framework (default: all available)"
    parser.add_argument("--threads", metavar="N", type=int, help=threads)
    peers = f"frameworks to compare with (default: {' '.join(_OTHERS)})"
    parser.add_argument("--peers", metavar="NAME", nargs="+", choices=PEERS, help=peers)
    parser.add_argument(
        "--python",
        metavar="PEER=PATH",
        type=interpreter,
        action="append",
        default=[],
        help="Python of a framework installed in another virtual environment",
    )
    out = "output folder (default: runs/bench)"
    parser.add_argument("--out", metavar="DIR", default="runs/bench", help=out)


def run(args: argparse.Namespace) -> int:
    """Measure; return 130 after Ctrl-C, with the results until then written."""
    folder = Path(args.out)
    folder.mkdir(parents=True, exist_ok=True)
    results = bench(
        args.benchmarks or BENCHMARKS,
        rounds=args.rounds,
        limit=args.limit,
        peers=args.peers or PEERS,
        pythons=dict(args.python),
        threads=args.threads,
        log=lambda text: print(text, file=sys.stderr, flush=True),
    )
    print(bench_text(results), flush=True)
    write_results(folder, "bench", results, _draw)
    return 130 if results["interrupted"] else 0


def _draw(results: Any) -> Any:
    from minicnn.plots import benchmark  # needs matplotlib

    return benchmark(results, growth(results))


def interpreter(text: str) -> tuple[str, str]:
    """Parse PEER=PATH."""
    name, equals, path = text.partition("=")
    if not equals or not path:
        raise argparse.ArgumentTypeError(f"must be PEER=PATH, got {text!r}")
    if name not in PEERS:
        known = f"must be PEER=PATH with one of {', '.join(PEERS)} before the =, got {text!r}"
        raise argparse.ArgumentTypeError(known + did_you_mean(name, PEERS))
    if not Path(path).exists():
        raise argparse.ArgumentTypeError(f"no such file: {path}")
    return name, path
