"""The part of the API that lets networks learn from nothing: one for each browser, or the two of a race."""

import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, cast

import numpy as np

from minicnn.demo.checks import MAX_PICTURE, check_fields, read_image, read_integer
from minicnn.demo.courtesy import Courtesy
from minicnn.demo.handlers import Body, shown_image
from minicnn.demo.learning import Learning
from minicnn.demo.options import Pick
from minicnn.demo.presets import PRESETS
from minicnn.demo.session import Session
from minicnn.demo.settings import GROUPS, OPTIONS, Settings, read_settings
from minicnn.demo.training import Examples, Training

LIMIT = 40  # browsers whose networks learn at the same time: they share the cores
IDLE = 60.0  # seconds without a look, after which a network makes room for another one
MOST_DRAWINGS = 300
MOST_BYTES = 1 << 29  # of the weights and the optimizers' states of all networks that learn


class Learners:
    """The learning networks of all browsers.

    Parameters
    ----------
    session : Session
        Its network gives the architecture, its data set the images.
    threads : int, optional
        Cores that compute a step. By default all for the first network, and one for each that is started
        while others learn.
    courtesy : Courtesy, optional
        Of the server; by default of these networks alone.
    """

    def __init__(
        self, session: Session, threads: int | None = None, courtesy: Courtesy | None = None
    ) -> None:
        self.session, self.threads = session, threads
        self.courtesy = courtesy or Courtesy()
        self._learning: dict[str, Learning] = {}
        self._lock = threading.Lock()
        self.handlers: dict[str, Callable[[str, Body], dict[str, Any] | Iterator[dict[str, Any]]]] = {
            "options": self.options,
            "start": self.start,
            "command": self.command,
            "look": self.look,
            "watch": self.watch,
        }
        self.takes_files = {"start"}  # bodies may be as large as a picture: they hold drawings

    def options(self, browser: str, body: Body) -> dict[str, Any]:
        """Return what can be chosen: the form of the page."""
        check_fields(body, set())
        config, usual = self.session.config, Settings().to_texts()
        opened = {"net": f"{self.session.name}, as opened", "data": config.dataset or "none: my own images"}
        described = {
            name: cast(Pick, option).with_label("run", opened[name]) if name in opened else option
            for name, option in OPTIONS.items()
        }
        return {
            "groups": GROUPS,
            "options": [
                {"name": name, "usual": usual[name]} | one.describe() for name, one in described.items()
            ],
            "presets": {name: preset.describe() for name, preset in PRESETS.items()},
            "drawings": self._most_drawings,
            "has_data": self.session.inputs.has_examples,
        }

    def start(self, browser: str, body: Body) -> dict[str, Any]:
        """Begin a training, or a race with a rival, in place of the browser's former one."""
        check_fields(body, {"settings"}, frozenset({"rival", "drawings"}))
        given = [body["settings"], body.get("rival")]
        settings = [read_settings(one) for one in given if one is not None or one is body["settings"]]
        drawings = self._read_drawings(body.get("drawings", []))
        data = [self._data(one, drawings) for one in settings]
        with self._lock:
            self._make_room(browser)
            alone = not self._learning.keys() - {browser}
        threads = 1 if self.threads is None and not alone else self.threads
        trainings = [
            Training(self.session.model, self.session.inputs, one, *examples, threads)
            for one, examples in zip(settings, data, strict=True)
        ]
        with self._lock:
            others = [one for name, one in self._learning.items() if name != browser]
            taken = sum(training.size for one in others for training in one.trainings)
            if others and taken + sum(training.size for training in trainings) > MOST_BYTES:
                raise ValueError(
                    "the networks of others take the memory of this server: choose a smaller one"
                )
            former = self._learning.pop(browser, None)
            self._learning[browser] = Learning(trainings, self.courtesy)
        if former is not None:
            former.close()
        return {"nets": [training.describe() for training in trainings]}

    def command(self, browser: str, body: Body) -> dict[str, Any]:
        """Play, pause, make a step or an epoch, or go back."""
        check_fields(body, {"command"})
        self._of(browser).command(body["command"])
        return {"command": body["command"]}

    def look(self, browser: str, body: Body) -> dict[str, Any]:
        """Return how far the training is; with an image or a drawing, what the network says of it."""
        check_fields(body, set(), frozenset({"image", "pixels"}))
        image = shown_image(self.session, body)
        return {"image": image, **self._of(browser).look(image)}

    def watch(self, browser: str, body: Body) -> Iterator[dict[str, Any]]:
        """Return what `look` returns ten times a second, until the training pauses."""
        check_fields(body, set(), frozenset({"image", "pixels"}))
        image = shown_image(self.session, body)
        return ({"image": image, **seen} for seen in self._of(browser).watch(image))

    def close(self) -> None:
        """End all trainings."""
        with self._lock:
            for learning in self._learning.values():
                learning.close()
            self._learning.clear()

    @property
    def _most_drawings(self) -> int:
        """How many drawings and pictures of one's own may be learned: they must fit into a request."""
        inputs = self.session.inputs
        if not inputs.are_bytes:
            return 0
        return min(MOST_DRAWINGS, MAX_PICTURE // (3 * math.prod(inputs.shape) // 2 + 100))

    def _read_drawings(self, given: Any) -> Examples:
        """Return the images and labels of a browser's own drawings and pictures."""
        if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
            raise TypeError("`drawings` must be a list of objects")
        if len(given) > MOST_DRAWINGS:
            raise ValueError(f"`drawings` must be at most {MOST_DRAWINGS}, got {len(given):,}")
        shape, classes = self.session.inputs.shape, len(self.session.names)
        for one in given:
            check_fields(one, {"image", "label"})
        images = [read_image(one["image"], "image", shape) for one in given]
        labels = [read_integer(one["label"], "label", classes) for one in given]
        if any(image.dtype != np.uint8 for image in images):
            raise ValueError("`drawings` must have a byte for each pixel")
        return np.array(images, np.uint8).reshape(-1, *shape), np.array(labels, np.intp)

    def _data(self, settings: Settings, drawings: Examples) -> tuple[Examples, Examples | None]:
        """Return the images to learn and those to test on."""
        inputs = self.session.inputs
        if settings.data == "run" and inputs.has_examples:
            return inputs.training, inputs.examples
        if not len(drawings[0]):
            why = "" if inputs.has_examples else "a model file has no images to learn, and "
            do = "draw one or choose a picture, say what it is, and add it"
            raise ValueError(f"{why}there are no images of your own yet: {do}")
        return drawings, inputs.examples if inputs.has_examples else None

    def _of(self, browser: str) -> Learning:
        with self._lock:
            learning = self._learning.get(browser)
        if learning is None:
            raise ValueError("no network learns for this browser: start one")
        return learning

    def _make_room(self, browser: str) -> None:
        if browser in self._learning or len(self._learning) < LIMIT:
            return
        idle, learning = max(self._learning.items(), key=lambda item: item[1].idle)
        if learning.idle < IDLE:
            raise ValueError(
                f"{LIMIT} networks learn on this server already, and it allows no more: wait until a page is "
                f"closed"
            )
        del self._learning[idle]
        learning.close()
