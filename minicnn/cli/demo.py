"""`minicnn demo`."""

from __future__ import annotations

import argparse

from minicnn.cli.parser import Commands, add_command

_TEXT = """\
Open a page, on this machine only, on which one draws a digit and looks inside the net while it answers:
every layer, the arithmetic of every cell, the gradient on its way back, one step of training and its undo."""
_EXAMPLE = "minicnn demo runs/first --port 8000"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "demo", run, "draw a digit and look inside the net", _TEXT, _EXAMPLE)
    parser.add_argument(
        "folder", metavar="RUN", nargs="?", help="a run folder (default: the net that comes with minicnn)"
    )
    parser.add_argument(
        "--port", metavar="N", type=int, default=8470, help="0 takes a free one (default: 8470)"
    )
    parser.add_argument("--no-browser", action="store_true", help="do not open a browser")


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C."""
    if not 0 <= args.port < 1 << 16:
        raise ValueError(f"--port must be 0 to 65535, got {args.port}")
    try:
        from minicnn.demo.server import serve
    except ModuleNotFoundError as error:
        raise ImportError(f"the demo needs Flask: pip install 'minicnn-numpy[demo]' ({error})") from error
    from minicnn.demo import open_session

    serve(open_session(args.folder), args.port, browser=not args.no_browser)
    return 0
