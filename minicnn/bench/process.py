"""A worker's process, seen from outside."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import minicnn

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
            places = [str(Path(minicnn.__file__).parents[1]), environment.get("PYTHONPATH", "")]
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
                children = sum(_memory_mb(child, "smaps_rollup", "Private_") for child in _children(pid))
                most.append(_memory_mb(pid, "status", "VmHWM") + children)

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


def _children(pid: int) -> Iterator[int]:
    """Yield the processes that one has started, and theirs; none, if the system does not tell."""
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):  # it has just ended
            for child in map(int, task.read_text().split()):
                yield child
                yield from _children(child)


def _memory_mb(pid: int, file: str, field: str) -> float:
    """Return the sum of the fields of this beginning, in MB; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except OSError:  # another system, or it has just ended
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024 / 1e6
