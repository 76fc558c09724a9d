"""`minicnn report`."""

import argparse
from pathlib import Path

from minicnn.cli.parser import Commands, add_command
from minicnn.runs import open_run, report
from minicnn.saving.files import write_atomically

_TEXT = """\
Write an HTML page about a run: its configuration and result, with pictures of how it learned, what it gets
wrong, and what its layers see. The file contains everything it shows and opens without a network."""
_EXAMPLE = "minicnn report runs/first"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "report", run, "write an HTML page about a run", _TEXT, _EXAMPLE)
    parser.add_argument("folder", metavar="RUN", help="run folder")
    parser.add_argument("--out", metavar="FILE.html", help="output file (default: report.html in RUN)")
    parser.add_argument("--limit", metavar="N", type=int, help="evaluate on the first N images only")


def run(args: argparse.Namespace) -> int:
    """Write the report."""
    path = Path(args.folder, "report.html") if args.out is None else Path(args.out)
    if path.suffix != ".html":
        raise ValueError(f"--out must end in .html, got {path}")
    write_atomically(path, report(open_run(args.folder), args.limit).encode())
    print(f"written to {path}, {path.stat().st_size / 1e6:.1f} MB")
    return 0
