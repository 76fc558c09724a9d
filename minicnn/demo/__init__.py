"""A web page to draw a digit and look inside the network while it classifies it, and to watch one learn.

`inside`, `arithmetic` and `chain` explain a cell, `session` is a network and `inputs` its images,
`classroom` gives each browser a network of its own, and `whatif` changes a window or turns filters off.
`options` are what a page lets choose; a `training` from nothing has `settings`, some as `presets`, an
`architecture`, `curves`, and `snapshots` with `advice`. `learning` runs one or two in a thread, and
`learners` keeps those of all browsers. `checks` and `handlers` validate and answer requests, `server`
receives them, `encoding` writes the responses, and `static/` has the pages: HTML, CSS and plain JavaScript
modules, without a build step and without external resources.
"""

from minicnn.demo.session import Session, open_session

__all__ = ["Session", "open_session"]
