"""The process of a worker, and requests to it."""

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
_QUIET = {
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "KERAS_BACKEND": "tensorflow",
}  # only log levels and the backend: nothing that changes the speed


class Process:
    """The process of one framework; leaving the context ends it.

    Parameters
    ----------
    name, packages : str, sequence of str
        The framework, and the packages that it needs.
    threads : int
        Cores for the framework.
    folder : Path
        The folder with the data.
    python : str
        The Python interpreter.
    """

    def __init__(self, name: str, packages: Sequence[str], threads: int, folder: Path, python: str) -> None:
        command = [python, str(_SCRIPT), name, str(threads), str(folder), *packages]
        environment = _QUIET | dict(os.environ)
        if name == "minicnn":  # may run from a folder, without installation
            paths = [str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
        self.started = time.perf_counter()
        with contextlib.ExitStack() as opened:
            self._stderr = opened.enter_context(tempfile.TemporaryFile("w+"))
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                env=environment,
                text=True,
            )
            opened.pop_all()  # the process has started: __exit__ closes the file

    def request(self, task: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to a task; RuntimeError if the task fails or the worker has died."""
        try:
            print(json.dumps(task), file=self._process.stdin, flush=True)
            line = self._process.stdout.readline()  # type: ignore[union-attr]
        except BrokenPipeError:
            line = ""
        reply = json.loads(line) if line else {"error": self._last_error()}
        if "error" in reply:
            raise RuntimeError(" ".join(reply["error"].split())[:200])
        return reply

    def peak_memory(self, task: dict[str, Any]) -> float | None:
        """Return the peak memory, in MB, of the worker and its children during a task; None if unknown."""
        done, samples = threading.Event(), [0.0]

        def sample() -> None:
            pid = self._process.pid
            while not done.wait(0.02):
                # Memory that children share with their parent is counted once.
                private = sum(memory_mb(child, "smaps_rollup", "Private_") for child in children(pid))
                samples.append(memory_mb(pid, "status", "VmHWM") + private)

        sampler = threading.Thread(target=sample)
        sampler.start()
        try:
            self.request(task)
        finally:
            done.set()
            sampler.join()
        return max(samples) or None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(BrokenPipeError):  # it died before it read a task
                pipe.close()  # type: ignore[union-attr]  # no more tasks: it exits
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._stderr.close()

    def _last_error(self) -> str:
        self._process.wait()
        self._stderr.seek(0)
        lines = self._stderr.read().strip().splitlines()
        return lines[-1] if lines else f"exit status {self._process.returncode}"
