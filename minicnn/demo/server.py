"""The Flask application between the page and the network. It serves only the browser on this machine.

Other sites open in the browser could send requests to this port. So the Host header must be the server's own
(which excludes other names that resolve to this address), likewise the Origin if there is one, and bodies
must be JSON, which HTML forms cannot send. `checks` validates the bodies; errors are returned as JSON.
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
Handler = Callable[[dict[str, Any]], dict[str, Any]]  # from the body of a request to that of the response
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def make_app(session: Session, port: int) -> Flask:
    """Return the application for a session on this port of 127.0.0.1."""
    app = Flask("minicnn.demo", static_folder="static", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    hosts = {f"{name}:{port}".removesuffix(":80") for name in (HOST, "localhost")}

    @app.before_request
    def check_origin() -> None:
        origin = request.headers.get("Origin")
        if request.headers.get("Host") not in hosts:
            raise Forbidden("the Host header is not this server's")
        if origin is not None and origin.removeprefix("http://") not in hosts:
            raise Forbidden("the Origin header is not this server's")

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

    def api(name: str, handler: Handler) -> None:
        def view() -> Response:
            if not request.is_json:
                raise UnsupportedMediaType("the Content-Type must be application/json")
            try:
                with np.errstate(all="ignore"):  # weights that are not finite are reported as an error
                    return _json(handler(parse_body(request.get_data())))
            except (ValueError, TypeError, OSError) as error:
                return _json({"error": str(error)}, 400)

        app.add_url_rule(f"/api/{name}", name, view, methods=["POST"])

    for name, handler in _handlers(session).items():
        api(name, handler)
    return app


def _handlers(session: Session) -> dict[str, Handler]:
    """Return the handler of each address of the API."""

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
        text = json.dumps(value, default=_encode_array, allow_nan=False)
    except ValueError:
        text, status = json.dumps({"error": "the network's numbers are not finite"}), 400
    return Response(text, status, mimetype="application/json")


def _encode_array(array: np.ndarray) -> dict[str, Any]:
    """Return an array in the page's encoding: shape, dtype (uint8 or float32) and base64 of its bytes."""
    kind = np.uint8 if array.dtype == np.uint8 else np.dtype("<f4")
    data = base64.b64encode(np.ascontiguousarray(array, kind).tobytes()).decode()
    return {"shape": array.shape, "dtype": np.dtype(kind).name, "data": data}


class _QuietHandler(WSGIRequestHandler):
    """A request handler that logs nothing: the page sends a request for each stroke."""

    timeout = 30  # seconds; half a request does not block its thread forever

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log nothing."""


def serve(session: Session, port: int, browser: bool = True) -> None:
    """Serve the page on 127.0.0.1 until Ctrl-C; port 0 picks a free one.

    Raises
    ------
    OSError
        If the port is in use.
    """
    server = listen(session, port)
    address = f"http://{HOST}:{server.port}/"
    print(f"{address}   (stop with Ctrl-C)", flush=True)
    if browser:
        threading.Timer(0.2, webbrowser.open, [address]).start()
    try:
        server.serve_forever()
    finally:
        server.server_close()


def listen(session: Session, port: int) -> Any:
    """Return a werkzeug server on the port, with a thread for each request."""
    with socket.socket() as bound:  # bound here, since werkzeug ends the process if the port is in use
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((HOST, port))
        except OSError as error:
            raise OSError(
                error.errno, f"{error.strerror}; choose another --port", f"{HOST}:{port}"
            ) from error
        bound.listen()
        port = bound.getsockname()[1]
        app = make_app(session, port)
        return make_server(HOST, port, app, threaded=True, request_handler=_QuietHandler, fd=bound.fileno())
