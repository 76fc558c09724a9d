"""The API of the page: for each address, a function from session and body of a request to a response."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minicnn.demo.checks import (
    PAD,
    check_fields,
    read_bytes,
    read_cell,
    read_filters,
    read_flag,
    read_image,
    read_integer,
    read_pixels,
)
from minicnn.demo.encoding import Shown
from minicnn.demo.session import Session
from minicnn.demo.whatif import Window, slide, without

Body = dict[str, Any]


class Handler(NamedTuple):
    """What answers an address."""

    answer: Callable[[Session, Body], dict[str, Any]]
    teaches: bool = False  # whether the browser needs a network of its own
    undoes: bool = False
    takes_files: bool = False  # whether the body may be as large as a picture


def _net(session: Session, body: Body) -> dict[str, Any]:
    check_fields(body, set())
    return session.describe()


def _look(session: Session, body: Body) -> dict[str, Any]:
    given = "pixels" if "pixels" in body else "image"
    check_fields(body, {given}, frozenset({"class"}))
    number = body.get("class")
    if number is not None:
        number = read_integer(number, "class", len(session.names))
    image = shown_image(session, body)
    if image is None:
        return {"image": None}
    return {"image": image, **_with_shown(session.look(image, number))}


def _picture(session: Session, body: Body) -> dict[str, Any]:
    check_fields(body, {"file"})
    return {"image": session.inputs.from_picture(read_bytes(body["file"], "file"))}


def _cell(session: Session, body: Body) -> dict[str, Any]:
    check_fields(body, {"image", "stage", "cell"})
    stage = read_integer(body["stage"], "stage", len(session.model) + 1)
    return session.explain(_image_of(session, body), stage, read_cell(body["cell"]))


def _backward(session: Session, body: Body) -> dict[str, Any]:
    return _with_shown(session.backward(*_labelled(session, body)))


def _with_shown(found: Body) -> Body:
    return found | {"stages": [Shown(stage) for stage in found["stages"]]}


def _step(session: Session, body: Body) -> dict[str, Any]:
    return session.step(*_labelled(session, body))


def _undo(session: Session, body: Body) -> dict[str, Any]:
    check_fields(body, set(), frozenset({"all"}))
    return session.undo_all() if read_flag(body.get("all", False), "all") else session.undo()


def _example(session: Session, body: Body) -> dict[str, Any]:
    check_fields(body, {"wrong"})
    return session.example(read_flag(body["wrong"], "wrong"))


def _slide(session: Session, body: Body) -> dict[str, Any]:
    settings = {"operation", "size", "stride", "dilation", "padding"}
    given = "pixels" if "pixels" in body else "image"
    check_fields(body, settings | {given}, frozenset({"kernel", "cell"}))
    window = Window(**{name: body[name] for name in settings | (body.keys() & {"kernel"})})
    image = shown_image(session, body)
    if image is None:
        return {"image": None}
    cell = None if body.get("cell") is None else read_cell(body["cell"])
    return {"image": image, **slide(session, image, window, cell)}


def _without(session: Session, body: Body) -> dict[str, Any]:
    given = "pixels" if "pixels" in body else "image"
    check_fields(body, {given, "off"})
    off = read_filters(body["off"])
    image = shown_image(session, body)
    return {"image": None} if image is None else {"image": image, **without(session, image, off)}


def shown_image(session: Session, body: Body) -> np.ndarray | None:
    """Return the image or the drawing of a request as an input; None if it has neither, or an empty pad."""
    if "image" in body:
        return _image_of(session, body)
    if "pixels" in body:
        return session.inputs.from_drawing(read_pixels(body["pixels"], "pixels", PAD))
    return None


def _image_of(session: Session, body: Body) -> np.ndarray:
    return read_image(body["image"], "image", session.inputs.shape)


def _labelled(session: Session, body: Body) -> tuple[np.ndarray, int]:
    check_fields(body, {"image", "label"})
    return _image_of(session, body), read_integer(body["label"], "label", len(session.names))


HANDLERS = {
    "net": Handler(_net),
    "look": Handler(_look),
    "picture": Handler(_picture, takes_files=True),
    "cell": Handler(_cell),
    "backward": Handler(_backward),
    "step": Handler(_step, teaches=True),
    "undo": Handler(_undo, undoes=True),
    "example": Handler(_example),
    "slide": Handler(_slide),
    "without": Handler(_without),
}
