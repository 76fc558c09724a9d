"""Runs of a layer line by line: how many lines run, and whether a run of a replica between them matters."""

import queue
import sys
import sysconfig
import threading
from collections.abc import Callable
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import numpy as np

_PACKAGE = str(Path(__file__).parents[1])
_USERS_ROOMS = tuple(str(Path(__file__).parent / room) for room in ("zoo", "styles", "correct_layers.py"))
_LIBRARIES = (str(Path(np.__file__).parent), sysconfig.get_path("stdlib"), "<frozen", "<__array_function__")
MAX_PLACES = 60  # number of lines between which another run is tried
PATIENCE = 0.5  # seconds: a layer that holds a lock makes the other run wait


def count_lines(function: Callable[[], Any]) -> int:
    """Return how many lines of Python code run in a call, those of NumPy left out."""
    count = 0

    def look(frame: FrameType) -> None:
        nonlocal count
        count += 1

    _traced(function, look, lambda code: not code.co_filename.startswith(_LIBRARIES))
    return count


def run_between_lines(function: Callable[[], Any], other: Callable[[], Any]) -> Any:
    """Return `function()`, while another thread runs `other()` before each line of the user's code.

    Each line counts once. If the layer holds a lock, the other run has to wait, and no more are started.
    """
    seen: set[tuple[CodeType, int]] = set()
    work: queue.SimpleQueue = queue.SimpleQueue()
    done: queue.SimpleQueue = queue.SimpleQueue()

    def serve() -> None:
        while work.get():
            try:
                done.put(other())
            except Exception:
                done.put(None)  # reported by the checks that run the layer alone

    thread = threading.Thread(target=serve, daemon=True)
    blocked = False

    def look(frame: FrameType) -> None:
        nonlocal blocked
        place = (frame.f_code, frame.f_lineno)
        if place in seen or blocked or len(seen) >= MAX_PLACES:
            return
        seen.add(place)
        if not thread.is_alive():
            thread.start()
        work.put(True)
        try:
            done.get(timeout=PATIENCE)
        except queue.Empty:
            blocked = True

    result = _traced(function, look, _is_users)
    if thread.ident is not None:
        work.put(False)
        thread.join(PATIENCE)
    return result


def _is_users(code: CodeType) -> bool:
    name = code.co_filename
    if name.startswith(_LIBRARIES):
        return False
    return not name.startswith(_PACKAGE) or name.startswith(_USERS_ROOMS)


def _traced(
    function: Callable[[], Any], look: Callable[[FrameType], None], follow: Callable[[CodeType], bool]
) -> Any:
    """Call a function, and `look` before each line of the code that is to be followed."""

    def on_line(frame: FrameType, event: str, _: Any) -> Any:
        if event == "line":
            look(frame)
        return on_line

    def on_call(frame: FrameType, event: str, _: Any) -> Any:
        return on_line if follow(frame.f_code) else None

    before = sys.gettrace()
    sys.settrace(on_call)
    try:
        return function()
    finally:
        sys.settrace(before)
