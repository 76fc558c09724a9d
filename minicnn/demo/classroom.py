"""A network for each browser: all share the one that was opened, until one teaches its own."""

import threading
import time
from dataclasses import dataclass, field

from minicnn.demo.session import Session

LIMIT = 40  # browsers that teach at the same time
IDLE = 1800.0  # seconds without a request, after which a taught network may be dropped


@dataclass
class _Place:
    session: Session
    used: float = field(default_factory=time.monotonic)


class Classroom:
    """The networks of all browsers.

    Parameters
    ----------
    session : Session
        What was opened; it is never taught.
    limit : int
        Number of browsers that can teach a network of their own at the same time.
    """

    def __init__(self, session: Session, limit: int = LIMIT) -> None:
        self.shared = session
        self.limit = limit
        self._taught: dict[str, _Place] = {}
        self._lock = threading.Lock()

    def session_of(self, browser: str, teaches: bool = False) -> Session:
        """Return the network of a browser; a copy of its own from the moment that it teaches.

        Raises
        ------
        ValueError
            If too many browsers teach.
        """
        with self._lock:
            place = self._taught.get(browser)
            if place is None:
                if not teaches:
                    return self.shared
                self._make_room()
                place = self._taught[browser] = _Place(self.shared.fork())
            place.used = time.monotonic()
            return place.session

    def leave(self, browser: str) -> None:
        """Drop a browser's network if nothing is left of what it was taught."""
        with self._lock:
            place = self._taught.get(browser)
            if place is not None and not place.session.steps:
                del self._taught[browser]

    def _make_room(self) -> None:
        if len(self._taught) < self.limit:
            return
        browser, place = min(self._taught.items(), key=lambda item: item[1].used)
        if time.monotonic() - place.used < IDLE:
            raise ValueError(
                f"{self.limit} browsers teach a network of their own already, and this server allows no "
                f"more: wait until one of them chooses 'Undo all'"
            )
        del self._taught[browser]
