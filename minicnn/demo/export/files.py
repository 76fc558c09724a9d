"""The contents of a static copy."""

import json
import re
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.demo.export.images import Chosen, choose
from minicnn.demo.export.notice import notice
from minicnn.demo.export.recording import NOT_FINITE, record
from minicnn.demo.export.rules import are_known, rules_of
from minicnn.demo.export.runtime import PACKAGE, Runtime
from minicnn.demo.session import Session
from minicnn.demo.whatif import filters
from minicnn.interop.layer_map import flat_layers
from minicnn.layers import Sequential
from minicnn.runs.inputs import image_reader
from minicnn.safeguards.inputs import takes_bytes
from minicnn.saving.preprocessing import DIGIT

_PAGE, _COPY = Path(__file__).parents[1] / "static", Path(__file__).parent / "page"
_NEEDED = re.compile(rb'(?:href|src)="static/([\w.-]+)"|from "\./([\w.-]+)"')
_PAGES = ("index.html", "whatif.html")
_LINKS = {b'href="whatif"': b'href="whatif.html"'}  # to files, as of a plain web server
_OPENED = b'<script src="copy/opened.js" defer></script>\n'
_MOST_RECORDED = 40  # images, and some more that are misclassified
_RECORDED_BYTES = 2 << 20  # of recorded outputs, but at least one image
_SCRIPT_MACS = 5_000_000  # of a network that the page's own JavaScript computes at each stroke
_OFFERS = ["net", "look", "cell", "example", "slide"]  # requests that every copy answers
_ALIVE = "This is a static copy: training needs minicnn demo."
_NO_GRADIENT = "This is a static copy: training and gradients need minicnn demo."
_STILL = "This is a static copy with recorded images: drawing, pictures and training need minicnn demo."


def copy_files(session: Session, runtime: Runtime | None) -> dict[str, bytes]:
    """Return the files of a copy by their paths, see `minicnn.demo.export.export_page`."""
    rules, weights = rules_of(session.model)
    known = are_known(rules) and session.model.macs() <= _SCRIPT_MACS
    offers = [*_OFFERS, *(["without"] if known else [])]
    files = {"copy/weights.bin": weights.to_bytes()}
    # Names only: the copy is public, and where files lie on this machine is nobody's business.
    dataset, model = Path(session.config.dataset).name, Path(session.name).name
    net = session.describe() | {"dataset": dataset, "model": model}
    net["filters"] = [asdict(one) for one in filters(session)]
    found: dict[str, Any] = {
        "engine": "onnxruntime" if runtime else "script" if known else "recorded",
        "net": net,
        "input": _input_of(session),
        "arithmetic": rules,
        "outputs": None,
        "largest": None,
    }
    chosen: Chosen | None
    if runtime is None and not known:
        chosen, recorded, found["largest"] = _recorded(session)
        files |= recorded
        net |= {"draws": False, "notice": _STILL, "offers": offers}
    else:
        if runtime is not None:
            files |= _computing(session.model, runtime)
            found["outputs"] = _outputs_of(session.model)
        elif not weights.are_finite:
            raise ValueError(NOT_FINITE)
        chosen = _examples(session)
        offers += ["picture", *(["gradient", "backward"] if known else [])]
        net |= {"notice": _ALIVE if known else _NO_GRADIENT, "offers": offers}
        net["examples"] = chosen is not None
    found["examples"] = None if chosen is None else chosen.describe()
    if chosen is not None:
        files["copy/images.bin"] = chosen.images.tobytes()
    files["copy/net.json"] = json.dumps(found, allow_nan=False).encode()
    return _page() | files | {"NOTICE.md": notice(dataset if chosen else "", runtime).encode()}


def _page() -> dict[str, bytes]:
    """Return the files of the page: its views, and all that they link to and import.

    Requests are answered by another `server.js`. The view of a network that learns needs the server.
    """
    page: dict[str, bytes] = {}
    waiting = list(_PAGES)
    while waiting:
        name = waiting.pop()
        if name not in page:
            page[name] = (_PAGE / name).read_bytes()
            waiting += [link.decode() or module.decode() for link, module in _NEEDED.findall(page[name])]
    views = {name: _view(page.pop(name)) for name in _PAGES}
    copy = {f"copy/{path.name}": path.read_bytes() for path in _COPY.glob("*.js")}
    files = views | {f"static/{name}": data for name, data in page.items()} | copy
    return files | {"static/server.js": files.pop("copy/server.js")}


def _view(html: bytes) -> bytes:
    for link, file in _LINKS.items():
        html = html.replace(link, file)
    return html.replace(b"</head>", _OPENED + b"</head>")


def _recorded(session: Session) -> tuple[Chosen, dict[str, bytes], list[list[float]]]:
    """Return test images, what the layers compute for each, and the largest outputs of each layer."""
    try:
        images, _ = session.inputs.examples
    except (ValueError, OSError) as error:
        raise ValueError(
            f"without {PACKAGE}, a copy of this network shows recorded test images, "
            f"but there are none: {error}"
        ) from error
    size = len(record(session, images[0])[0])
    chosen = choose(session, max(1, min(_MOST_RECORDED, _RECORDED_BYTES // size)))
    records = [record(session, image) for image in chosen.images]
    files = {f"copy/recorded/{number}.bin": data for number, (data, _) in enumerate(records)}
    return chosen, files, [largest for _, largest in records]


def _examples(session: Session) -> Chosen | None:
    """Return test images, if the network has a data set; warn if it is not there."""
    if not session.inputs.has_examples:
        return None
    try:
        return choose(session)
    except (ValueError, OSError) as error:
        warnings.warn(f"the copy has no test images: {error}", stacklevel=2)
        return None


def _computing(model: Sequential, runtime: Runtime) -> dict[str, bytes]:
    """Return the files that compute the outputs of all layers."""
    from minicnn.interop.onnx import to_onnx  # needs onnx, which recorded images do not

    try:
        proto = to_onnx(model, layer_outputs=True)
    except ValueError as error:
        raise ValueError(f"{error}; --runtime none exports recorded images instead") from error
    return {
        "copy/ort.js": runtime.script,
        "copy/ort.bin": runtime.wasm,
        "copy/model.onnx": proto.SerializeToString(),
    }


def _outputs_of(model: Sequential) -> list[str]:
    """Return the name of each layer's output; of a layer that consists of several, that of the last."""
    last = {name.partition(".")[0]: f"layers.{name}" for name, _ in flat_layers(model)}
    return [last[str(number)] for number in range(len(model))]


def _input_of(session: Session) -> dict[str, Any]:
    """Return how drawings and pictures become inputs."""
    picture: Any = DIGIT
    if not session.inputs.digits:
        given: Any = session.model.preprocessing or {}
        reader = image_reader(session.model)
        picture = {"resize": reader.resize, "background": reader.background, "scale": None}
        if {"scale", "offset"} & given.keys():
            usual = {"scale": 1 / 255, "offset": 0.0}
            picture |= {key: np.atleast_1d(given.get(key, value)).tolist() for key, value in usual.items()}
    drawing = DIGIT if session.inputs.digits else "area"
    return {"bytes": takes_bytes(session.model), "drawing": drawing, "picture": picture}
