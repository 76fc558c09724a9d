"""The way between the page and the net: an application of Flask that only this machine's browser can drive.

Any site that the browser has open could send requests to this port. So the Host header must be our own (no
name that somebody else lets point here), the Origin as well where there is one, and bodies must be JSON,
which no form can send. What comes is checked in `checks`; errors are answered as JSON, in a sentence.
"""

from __future__ import annotations

import base64
import json
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import Any

import numpy as np
from flask import Flask, Response, request
from werkzeug.exceptions import Forbidden, HTTPException, UnsupportedMediaType
from werkzeug.serving import WSGIRequestHandler, make_server

from minicnn.demo.checks import (
    IMAGE,
    MAX_BODY,
    PAD,
    check_fields,
    parse_body,
    read_cell,
    read_integer,
    read_pixels,
)
from minicnn.demo.session import Session, read_drawing

HOST = "127.0.0.1"
Answer = Callable[[dict[str, Any]], dict[str, Any]]
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def make_app(session: Session, port: int) -> Flask:
    """Return the application for one session, to be served on this port of 127.0.0.1."""
    app = Flask("minicnn.demo", static_folder="static", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    hosts = {f"{name}:{port}".removesuffix(":80") for name in (HOST, "localhost")}

    @app.before_request
    def refuse_strangers() -> None:
        origin = request.headers.get("Origin")
        if request.headers.get("Host") not in hosts:
            raise Forbidden("the Host must be this server's own")
        if origin is not None and origin.removeprefix("http://") not in hosts:
            raise Forbidden("the Origin must be this server's own page")

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return _json({"error": f"{error.description}"}, error.code or 500)

    @app.get("/")
    def page() -> Response:
        return app.send_static_file("index.html")

    def api(name: str, answer: Answer) -> None:
        def view() -> Response:
            if not request.is_json:
                raise UnsupportedMediaType("the Content-Type must be application/json")
            try:
                with np.errstate(all="ignore"):  # a ruined net is reported once, as what it is
                    return _json(answer(parse_body(request.get_data())))
            except (ValueError, TypeError, OSError) as error:
                return _json({"error": str(error)}, 400)

        app.add_url_rule(f"/api/{name}", name, view, methods=["POST"])

    for name, answer in _answers(session).items():
        api(name, answer)
    return app


def _answers(session: Session) -> dict[str, Answer]:
    """Return what each address answers to a body."""

    def net(body: dict[str, Any]) -> dict[str, Any]:
        check_fields(body, set())
        return session.describe()

    def look(body: dict[str, Any]) -> dict[str, Any]:
        given = "pixels" if "pixels" in body else "image"
        check_fields(body, {given}, frozenset({"class"}))
        number = body.get("class")
        if number is not None:
            number = read_integer(number, "class", len(session.names))
        if given == "image":
            image: np.ndarray | None = image_of(body)
        else:
            image = read_drawing(read_pixels(body["pixels"], "pixels", PAD))
        if image is None:
            return {"image": None}
        return {"image": image, **session.look(image, number)}

    def cell(body: dict[str, Any]) -> dict[str, Any]:
        check_fields(body, {"image", "stage", "cell"})
        stage = read_integer(body["stage"], "stage", len(session.model) + 1)
        return session.explain(image_of(body), stage, read_cell(body["cell"]))

    def backward(body: dict[str, Any]) -> dict[str, Any]:
        return session.backward(*labelled(body))

    def step(body: dict[str, Any]) -> dict[str, Any]:
        return session.step(*labelled(body))

    def undo(body: dict[str, Any]) -> dict[str, Any]:
        check_fields(body, set())
        return session.undo()

    def example(body: dict[str, Any]) -> dict[str, Any]:
        check_fields(body, {"wrong"})
        if type(body["wrong"]) is not bool:
            raise TypeError("`wrong` must be true or false")
        return session.example(body["wrong"])

    def image_of(body: dict[str, Any]) -> np.ndarray:
        return read_pixels(body["image"], "image", IMAGE)[..., np.newaxis]

    def labelled(body: dict[str, Any]) -> tuple[np.ndarray, int]:
        check_fields(body, {"image", "label"})
        return image_of(body), read_integer(body["label"], "label", len(session.names))

    return {f.__name__: f for f in (net, look, cell, backward, step, undo, example)}


def _json(value: dict[str, Any], status: int = 200) -> Response:
    try:
        text = json.dumps(value, default=_pack, allow_nan=False)
    except ValueError:
        text, status = json.dumps({"error": "the network's numbers are not finite"}), 400
    return Response(text, status, mimetype="application/json")


def _pack(array: np.ndarray) -> dict[str, Any]:
    """Return an array as the page reads it: its shape, and base64 of its bytes, as uint8 or float32."""
    kind = np.uint8 if array.dtype == np.uint8 else np.dtype("<f4")
    data = base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()
    return {"shape": array.shape, "dtype": np.dtype(kind).name, "data": data}


class _Quiet(WSGIRequestHandler):
    """Answers without a line on the terminal for each stroke."""

    timeout = 30  # seconds; who sends half a request does not keep its thread for ever

    def log(self, type: str, message: str, *args: Any) -> None:
        """Say nothing."""


def serve(session: Session, port: int, browser: bool = True) -> None:
    """Serve the page on 127.0.0.1 until Ctrl-C; `port` 0 takes a free one.

    Raises
    ------
    OSError
        If the port is taken.
    """
    server = listen(session, port)
    address = f"http://{HOST}:{server.port}/"
    print(f"{address}   (Ctrl-C ends)", flush=True)
    if browser:
        threading.Timer(0.2, webbrowser.open, [address]).start()
    try:
        server.serve_forever()
    finally:
        server.server_close()


def listen(session: Session, port: int) -> Any:
    """Return a server of werkzeug's that holds the port, a thread for each request."""
    with socket.socket() as taken:  # werkzeug ends the process when a port is taken; we raise
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((HOST, port))
        except OSError as error:
            raise OSError(error.errno, f"{error.strerror}; take another --port", f"{HOST}:{port}") from error
        taken.listen()
        number = taken.getsockname()[1]
        app = make_app(session, number)
        return make_server(HOST, number, app, threaded=True, request_handler=_Quiet, fd=taken.fileno())
