"""`minicnn demo`."""

from __future__ import annotations

import argparse
import shlex
from typing import TYPE_CHECKING

from minicnn.cli.output import fill
from minicnn.cli.parser import Commands, add_command, add_dataset
from minicnn.cli.trained import add_trained, opened, skipping
from minicnn.plural import counted
from minicnn.runs import with_dataset

if TYPE_CHECKING:
    from minicnn.demo import Session
    from minicnn.demo.export import Runtime

_TEXT = """\
Open a local web page to draw a digit, or to show a picture, and look inside the network while it classifies
it: each layer, the arithmetic of each cell, the gradient, and training steps that can be undone. Other
machines cannot reach the page without --host. Each browser trains a network of its own.

With --export nothing is opened: the page is written into a folder that any web server shows, without Python,
such as that of a course. There the browser computes everything but training steps, with onnxruntime-web,
which npm fetches unless --runtime names a copy. Without it, the page computes small networks of the usual
layers itself, and for others it shows recorded test images."""
_EXAMPLE = """\
minicnn demo runs/first --port 8000
minicnn demo runs/first --export site/lenet5"""


def add_to(commands: Commands) -> None:
    """Add the subcommand."""
    parser = add_command(commands, "demo", run, "draw digits and look inside the network", _TEXT, _EXAMPLE)
    add_trained(parser, "?", " (default: the network included with minicnn)")
    add_dataset(parser, None, "that of the run")
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
    parser.add_argument("--export", metavar="DIR", help="write the page into this new folder, and exit")
    parser.add_argument(
        "--runtime",
        metavar="PATH|none",
        help="with --export: folder of onnxruntime-web, or the file that `npm pack onnxruntime-web` writes; "
        "none: leave it out (default: npm fetches it)",
    )


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C, or export it."""
    if not 0 <= args.port < 1 << 16:
        raise ValueError(f"--port must be 0 to 65535, got {args.port}")
    if args.export is not None:
        return _export(args)
    if args.runtime is not None:
        raise ValueError("--runtime needs --export DIR")
    try:
        from minicnn.demo.server import serve
    except ModuleNotFoundError as error:
        raise ImportError(f"the demo needs Flask: pip install 'minicnn-numpy[demo]' ({error})") from error
    serve(_session(args), args.port, browser=not args.no_browser, host=args.host)
    return 0


def _session(args: argparse.Namespace) -> Session:
    from minicnn.demo import Session, open_session

    place = args.dataset, args.data, args.labels
    run = opened(args) if args.folder else None
    session = open_session() if run is None else Session(run.model, run.config)
    if any(place):
        session = Session(session.model, with_dataset(skipping(session.config, args), *place))
        _ = session.inputs.examples  # what was named now is refused now, not when a browser asks for it
    return session


def _export(args: argparse.Namespace) -> int:
    from minicnn.demo.export import PACKAGE, check_folder, export_page

    check_folder(args.export)
    session = _session(args)
    runtime = _runtime(args.runtime)
    sizes = export_page(session, args.export, runtime)
    engine = sum(size for name, size in sizes.items() if name.startswith("copy/ort."))
    whole = f"{counted(len(sizes), 'file')}, {(sum(sizes.values()) - engine) / 1e6:.1f} MB"
    with_engine = f" and {engine / 1e6:.1f} MB of {PACKAGE} {runtime.version}" if runtime else ""
    if any(name.startswith("copy/recorded/") for name in sizes):
        with_engine = ", with recorded images"
    print(fill(f"written to {args.export}: {whole}{with_engine}"))
    print(f"to look at it: python -m http.server --directory {shlex.quote(args.export)}")
    return 0


def _runtime(given: str | None) -> Runtime | None:
    """Return the runtime that is given, or that npm fetches; print why there is none, and return None."""
    from minicnn.demo.export import PACKAGE, fetch_runtime, read_runtime

    if given == "none":
        return None
    if given is not None:
        return read_runtime(given)
    print(f"fetching {PACKAGE} by npm, 33 MB", flush=True)
    try:
        return fetch_runtime()
    except RuntimeError as error:
        print(fill(f"exporting without {PACKAGE}, since {error}: --runtime names it if you have it"))
        return None
