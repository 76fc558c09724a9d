"""`minicnn demo`."""

import argparse

from minicnn.cli.parser import Commands, add_command
from minicnn.cli.trained import add_trained, opened

_TEXT = """\
Open a local web page to draw a digit, or to show a picture, and look inside the network while it classifies
it: each layer, the arithmetic of each cell, the gradient, and training steps that can be undone. Other
machines cannot reach the page, unless --host says so. Each browser teaches a network of its own."""
_EXAMPLE = "minicnn demo runs/first --port 8000"


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "demo", run, "draw digits and look inside the network", _TEXT, _EXAMPLE)
    add_trained(parser, "?", " (default: the network included with minicnn)")
    parser.add_argument(
        "--port", metavar="N", type=int, default=8470, help="port; 0 picks a free one (default: 8470)"
    )
    parser.add_argument(
        "--host",
        metavar="ADDRESS",
        default="127.0.0.1",
        help="address to listen on; 0.0.0.0 lets others in the network use the page (default: 127.0.0.1)",
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
    from minicnn.demo import Session, open_session

    run = opened(args) if args.folder else None
    session = open_session() if run is None else Session(run.model, run.config)
    serve(session, args.port, browser=not args.no_browser, host=args.host)
    return 0
