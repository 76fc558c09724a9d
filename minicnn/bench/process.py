"""A worker's process, seen from outside."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

from minicnn.profiling.memory import children, memory_mb

_SCRIPT = Path(__file__).with_name("worker.py")
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}  # nothing that changes the speed


class Process:
    """One framework's process; a context manager, which ends it.

    Parameters
    ----------
    name, packages : str, sequence of str
        The framework, and what must be installed for it.
    threads : int
        Cores that it may use.
    folder : Path
        Where the data are.
    python : str
        The interpreter.
    """

    def __init__(self, name: str, packages: Sequence[str], threads: int, folder: Path, python: str) -> None:
        command = [python, str(_SCRIPT), name, str(threads), str(folder), *packages]
        environment = _QUIET | dict(os.environ)
        if name == "minicnn":  # also where it runs from a folder and is not installed
            places = [str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
        self.started = time.perf_counter()
        with contextlib.ExitStack() as opened:
            self._said = opened.enter_context(tempfile.TemporaryFile("w+"))
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._said,
                env=environment,
                text=True,
            )
            opened.pop_all()  # the process has been started: __exit__ closes

    def ask(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to a task; RuntimeError if the worker cannot do it, or has died."""
        try:
            print(json.dumps(task), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()  # type: ignore[union-attr]
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": self._last_words()}
        if "error" in answer:
            raise RuntimeError(" ".join(answer["error"].split())[:200])
        return answer

    def ask_for_memory(self, task: dict[str, Any]) -> float | None:
        """Return the most memory, in MB, that the worker and its children had while they did a task."""
        done, most = threading.Event(), [0.0]

        def look() -> None:
            pid = self._process.pid
            while not done.wait(0.02):
                # What children share with their parent is counted once.
                private = sum(memory_mb(child, "smaps_rollup", "Private_") for child in children(pid))
                most.append(memory_mb(pid, "status", "VmHWM") + private)

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            self.ask(task)
        finally:
            done.set()
            watcher.join()
        return max(most) or None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):  # it has died with a task unread
                pipe.close()  # type: ignore[union-attr]  # no more tasks: it ends by itself
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()

    def _last_words(self) -> str:
        self._process.wait()
        self._said.seek(0)
        lines = self._said.read().strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.returncode}"
