"""A web page to draw a digit and look inside the network while it classifies it.

`inside` explains the arithmetic of a cell, `session` keeps the network, `checks` validates requests, `server`
serves them, and `static/` is the page: HTML, CSS and plain JavaScript modules, without a build step and
without external resources.
"""

from minicnn.demo.session import Session, open_session

__all__ = ["Session", "open_session"]
