"""The part of the API that lets a network learn from nothing, one for each browser."""

import threading
from collections.abc import Callable
from typing import Any

from minicnn.demo.checks import check_fields
from minicnn.demo.handlers import Body, shown_image
from minicnn.demo.learning import Learning
from minicnn.demo.session import Session
from minicnn.demo.settings import Settings

LIMIT = 8  # networks that learn at the same time: they share the cores
IDLE = 60.0  # seconds without a look, after which a network makes room for another one


class Learners:
    """The learning networks of all browsers.

    Parameters
    ----------
    session : Session
        Its network gives the architecture, its data set the images.
    threads : int, optional
        Cores that compute a step; by default all.
    """

    def __init__(self, session: Session, threads: int | None = None) -> None:
        self.session, self.threads = session, threads
        self._learning: dict[str, Learning] = {}
        self._lock = threading.Lock()
        self.handlers: dict[str, Callable[[str, Body], dict[str, Any]]] = {
            "start": self.start,
            "command": self.command,
            "look": self.look,
        }

    def start(self, browser: str, body: Body) -> dict[str, Any]:
        """Begin a training, in place of the browser's former one."""
        check_fields(body, {"optimizer", "lr", "batch_size", "seed"})
        if type(body["lr"]) not in (int, float):
            raise TypeError(f"`lr` must be a number, got {type(body['lr']).__name__}")
        settings = Settings(**body)
        with self._lock:
            former = self._learning.pop(browser, None)
            if former is not None:
                former.close()
            self._make_room()
            learning = self._learning[browser] = Learning(self.session, settings, self.threads)
        return learning.describe()

    def command(self, browser: str, body: Body) -> dict[str, Any]:
        """Play, pause, make a step or an epoch, or go back."""
        check_fields(body, {"command"})
        learning = self._of(browser)
        learning.command(body["command"])
        return {"command": body["command"]}

    def look(self, browser: str, body: Body) -> dict[str, Any]:
        """Return how far the training is; with an image or a drawing, what the network says of it."""
        check_fields(body, set(), frozenset({"image", "pixels"}))
        image = shown_image(self.session, body)
        return {"image": image, **self._of(browser).look(image)}

    def close(self) -> None:
        """End all trainings."""
        with self._lock:
            for learning in self._learning.values():
                learning.close()
            self._learning.clear()

    def _of(self, browser: str) -> Learning:
        with self._lock:
            learning = self._learning.get(browser)
        if learning is None:
            raise ValueError("no network learns for this browser: start one")
        return learning

    def _make_room(self) -> None:
        if len(self._learning) < LIMIT:
            return
        browser, learning = max(self._learning.items(), key=lambda item: item[1].idle)
        if learning.idle < IDLE:
            raise ValueError(
                f"{LIMIT} networks learn on this server already, and it allows no more: wait until a page is "
                f"closed"
            )
        del self._learning[browser]
        learning.close()
