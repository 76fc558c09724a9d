"""The child process that tests a learner's functions: start it, read its events, stop it if it hangs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minicnn import functional

STARTUP_SECONDS = 60.0  # that starting Python may take on a busy machine
_CHILD = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from minicnn.testing.grade.child import main
main(*sys.argv[2:])
"""


@dataclass
class Events:
    """What child processes reported about a file: a problem with the whole file, results of functions."""

    problem: str = ""
    functions: dict[str, dict[str, Any]] = field(default_factory=dict)
    current: str = ""  # the function that is being tested
    finished: bool = False

    def record(self, event: dict[str, Any]) -> None:
        """Add one event."""
        kind = event.pop("event")
        if kind == "failed":
            self.problem = f"the file {event['text']}"
        elif kind == "testing":
            self.current = event["name"]
        elif kind == "tested":
            self.functions[event.pop("name")] = event
            self.current = ""
        self.finished = kind in ("failed", "finished")

    def interrupt(self, text: str) -> str | None:
        """Record why the process ended early; return the function that was being tested, if any."""
        name, self.current = self.current, ""
        if not name:
            self.problem = f"the file {text}"
            return None
        self.functions[name] = {"passed": False, "case": text, "convention": "", "calls": 0}
        return name


def run_tests(path: str, names: list[str], timeout: float, events: Events) -> str | None:
    """Test functions in one child process; return the function that interrupted it, if any."""
    with tempfile.TemporaryDirectory() as folder:
        stream = Path(folder, "events")
        stream.touch()
        path = str(Path(path).resolve())
        package = str(Path(functional.__file__).parents[1])
        command = [sys.executable, "-I", "-B", "-c", _CHILD, json.dumps([package, *sys.path[1:]])]
        process = subprocess.Popen(
            [*command, path, str(stream), ",".join(names), str(timeout)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=Path(path).parent,
            start_new_session=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},  # products as small as these need no threads
        )
        try:
            return _watch(process, stream, timeout, events)
        finally:
            _kill(process)


def _watch(process: subprocess.Popen, stream: Path, timeout: float, events: Events) -> str | None:
    """Read events until the process finishes, ends or hangs; return the function that interrupted it."""
    seen, deadline = 0, time.monotonic() + STARTUP_SECONDS + timeout
    events.finished = False
    while True:
        ended = process.poll() is not None
        lines = stream.read_text(encoding="utf-8").split("\n")[:-1]  # the last line may be incomplete
        for event in map(json.loads, lines[seen:]):
            deadline = time.monotonic() + timeout
            events.record(event)
            if events.finished:
                return None
        seen = len(lines)
        if ended:
            return events.interrupt(f"ended the process (status {process.returncode})")
        if time.monotonic() > deadline:
            return events.interrupt(f"did not finish within {timeout:g} s")
        time.sleep(0.02)


def _kill(process: subprocess.Popen) -> None:
    """Stop the process, and those that the learner's code started from it."""
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
