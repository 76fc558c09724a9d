"""The page on which one draws a digit and looks inside the net while it answers.

`inside` tells the arithmetic of a cell, `session` keeps the net that the page plays with,
`checks` believes nothing that the page sends, `server` is the way between them and the browser, and
`static/` is the page: HTML, CSS and plain modules, without a build step and without anything from elsewhere.
"""

from minicnn.demo.session import Session, open_session

__all__ = ["Session", "open_session"]
