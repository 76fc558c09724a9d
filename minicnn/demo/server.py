"""The Flask application between the page and the network. By default, only this machine can reach it.

Other sites open in the browser could send requests to this port. So the Host header must be the server's own
(which excludes other names that resolve to this address), likewise the Origin if there is one, and bodies
must be JSON, which HTML forms cannot send. `checks` validates the bodies; errors are returned as JSON.
"""

import functools
import ipaddress
import math
import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from typing import Any

import numpy as np
from flask import Flask, Response, g, request
from werkzeug.exceptions import Forbidden, HTTPException, RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.serving import WSGIRequestHandler, make_server

from minicnn.demo.checks import MAX_BODY, MAX_PICTURE, parse_body
from minicnn.demo.classroom import Classroom
from minicnn.demo.courtesy import Courtesy
from minicnn.demo.encoding import to_response
from minicnn.demo.handlers import HANDLERS, Handler
from minicnn.demo.learners import Learners
from minicnn.demo.session import Session
from minicnn.parallel.threads import blas_threads

HOST = "127.0.0.1"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_COOKIE = 43  # characters of a cookie, which names a browser


def make_app(session: Session, port: int, host: str = HOST) -> Flask:
    """Return the application for a session on this port; `host` is the address that it listens on."""
    app = Flask("minicnn.demo", static_folder="static", static_url_path="/static")
    app.config["MAX_CONTENT_LENGTH"] = MAX_PICTURE
    _refuse_strangers(app, port, host)
    _know_browsers(app, port)

    @app.errorhandler(HTTPException)
    def http_error(error: HTTPException) -> Response:
        return to_response({"error": f"{error.description}"}, error.code or 500)

    for path, file in (("/", "index.html"), ("/learn", "learn.html"), ("/whatif", "whatif.html")):
        app.add_url_rule(path, file, functools.partial(app.send_static_file, file))
    courtesy = Courtesy()
    classroom, learners = Classroom(session), Learners(session, courtesy=courtesy)
    app.extensions["learners"] = learners
    most = MAX_BODY + 6 * math.prod(session.inputs.shape)
    views = {
        name: courtesy.first(
            _view(
                functools.partial(_answer, classroom, handler), MAX_PICTURE if handler.takes_files else most
            )
        )
        for name, handler in HANDLERS.items()
    } | {
        f"learn/{name}": _view(handler, MAX_PICTURE if name in learners.takes_files else most)
        for name, handler in learners.handlers.items()
    }
    for name, view in views.items():
        app.add_url_rule(f"/api/{name}", name, view, methods=["POST"])
    return app


def _refuse_strangers(app: Flask, port: int, host: str) -> None:
    """Refuse requests for another server or from another one's pages; add the headers of security."""
    local = {f"{name}:{port}".removesuffix(":80") for name in (HOST, "localhost")}

    def is_ours(name: str) -> bool:
        if host == HOST:
            return name in local
        # The owner of a name can point it here, and so open this server to pages of his; addresses are safe.
        place = name.removesuffix(f":{port}")
        return place in (host, "localhost", socket.gethostname()) or _is_address(place)

    @app.before_request
    def check_origin() -> None:
        own, origin = request.headers.get("Host", ""), request.headers.get("Origin")
        if not is_ours(own):
            raise Forbidden("the Host header is not this server's")
        if origin is not None and origin.removeprefix("http://") not in (local if host == HOST else {own}):
            raise Forbidden("the Origin header is not this server's")

    @app.after_request
    def add_headers(response: Response) -> Response:
        response.headers.update(_HEADERS)
        return response


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def _know_browsers(app: Flask, port: int) -> None:
    """Give each browser a cookie, by which it finds the network that it has taught."""
    name = f"minicnn-{port}"  # ports of one machine share their cookies

    @app.before_request
    def find_browser() -> None:
        g.browser = request.cookies.get(name, "")
        g.is_new = len(g.browser) != _COOKIE
        if g.is_new:
            g.browser = secrets.token_urlsafe(32)

    @app.after_request
    def keep_browser(response: Response) -> Response:
        if g.get("is_new") and response.status_code < 400:
            response.set_cookie(name, g.browser, httponly=True, samesite="Lax")
        return response


def _answer(classroom: Classroom, handler: Handler, browser: str, body: dict[str, Any]) -> dict[str, Any]:
    """Let a handler answer from the network of a browser."""
    try:
        return handler.answer(classroom.session_of(browser, handler.teaches), body)
    finally:
        if handler.teaches or handler.undoes:
            classroom.leave(browser)


def _view(answer: Callable[[str, dict[str, Any]], Any], most: int) -> Callable[[], Response]:
    """Return the function that Flask calls: from a request of at most so many bytes to a response in JSON."""

    def view() -> Response:
        if not request.is_json:
            raise UnsupportedMediaType("the Content-Type must be application/json")
        if (request.content_length or 0) > most:
            raise RequestEntityTooLarge()
        try:
            with np.errstate(all="ignore"):  # weights that are not finite are reported as an error
                return to_response(answer(g.browser, parse_body(request.get_data())))
        except (ValueError, TypeError, OSError, ImportError) as error:
            return to_response({"error": str(error)}, 400)

    return view


class _QuietHandler(WSGIRequestHandler):
    """A request handler that logs nothing: the page sends a request for each stroke."""

    timeout = 30  # seconds; half a request does not block its thread forever

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log nothing."""


def serve(session: Session, port: int, browser: bool = True, host: str = HOST) -> None:
    """Serve the page until Ctrl-C; port 0 picks a free one.

    Raises
    ------
    OSError
        If the port is in use.
    """
    server = listen(session, port, host)
    address = f"http://{HOST if host in ('0.0.0.0', '::') else host}:{server.port}/"
    print(f"{address}   (stop with Ctrl-C)", flush=True)
    if browser:
        threading.Timer(0.2, webbrowser.open, [address]).start()
    try:
        # By the main thread: OpenBLAS 0.3.31 ignores a limit that another one sets, and then the steps of a
        # network that learns take four times as long.
        with blas_threads(1):
            server.serve_forever()
    finally:
        server.server_close()
        server.app.extensions["learners"].close()


def listen(session: Session, port: int, host: str = HOST) -> Any:
    """Return a werkzeug server on the port, with a thread for each request."""
    with socket.socket() as bound:  # bound here, since werkzeug ends the process if the port is in use
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            bound.bind((host, port))
        except OSError as error:
            raise OSError(
                error.errno, f"{error.strerror}; choose another --port or --host", f"{host}:{port}"
            ) from error
        bound.listen()
        port = bound.getsockname()[1]
        app = make_app(session, port, host)
        return make_server(host, port, app, threaded=True, request_handler=_QuietHandler, fd=bound.fileno())
