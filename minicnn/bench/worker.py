"""One framework's process: reads tasks, a JSON object a line, and answers each with a line.

Run by its path, so that a virtual environment with nothing but that framework will do; what it needs of this
package it loads by path too. Arguments: the framework, the number of threads, the folder with the data, and
the packages that the framework consists of.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import runpy
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
WARM_UP = 20  # steps
MOST_EPOCHS = 10


class Worker:
    """What is asked for by name: each public method is a task, and returns its `value`, and details."""

    def __init__(self, name: str, threads: int, folder: Path, packages: list[str]) -> None:
        self.name, self.threads, self.folder, self.packages = name, threads, folder, packages
        self.floats: dict[str, Any] = {}
        self.warm: set[int] = set()
        self.peer: Any = None

    def about(self) -> dict[str, Any]:
        """Return the version of the first package, if all of them are installed."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise ImportError(f"{package} is not installed")
        package = self.packages[0]
        distributions = importlib.metadata.packages_distributions().get(package)
        if not distributions:  # minicnn, where it runs from a folder
            return {"value": importlib.import_module(package).__version__}
        return {"value": importlib.metadata.version(distributions[0])}

    def size(self) -> dict[str, Any]:
        """Return the megabytes of what packages need to be installed."""
        measure = runpy.run_path(str(HERE.parent / "interop" / "parity" / "installed.py"))
        return {"value": measure["installed_mb"](*self.packages)}

    def train(self, batch_size: int, target: float, least: int, seed: int) -> dict[str, Any]:
        """Train so many epochs at least, until the test accuracy is reached; return it."""
        peer, y, y_test = self._peer(), self._load("y"), self._load("y_test")
        x, x_test = peer.prepare(self._load("x")), peer.prepare(self._load("x_test"))
        import numpy as np

        for epoch in range(MOST_EPOCHS):
            peer.epoch(x, y, batch_size, np.random.default_rng([seed, epoch]).permutation(len(x)))
            accuracy = float((peer.predict(x_test).argmax(axis=1) == y_test).mean())
            if accuracy >= target and epoch + 1 >= least:
                return {"value": accuracy, "epochs": epoch + 1}
        raise RuntimeError(f"the test accuracy was {accuracy:.4f} after {MOST_EPOCHS} epochs")

    def epoch(self, batch_size: int, images: int) -> dict[str, Any]:
        """Return the seconds of an epoch over so many images."""
        peer, x, y = self._peer(), self._floats("x")[:images], self._load("y")[:images]
        if batch_size not in self.warm:  # on the smaller batch of the end, too
            few = WARM_UP * batch_size + len(x) % batch_size
            peer.epoch(x[:few], y[:few], batch_size, None)
            self.warm.add(batch_size)
        return {"value": _seconds(lambda: peer.epoch(x, y, batch_size, None))}

    def predict(self, seconds: float) -> dict[str, Any]:
        """Return the seconds for all test images: the median of some times."""
        peer, x = self._peer(), self._floats("x_test")
        return {"value": _median(lambda: peer.predict(x), seconds)}

    def one(self, how: str, seconds: float) -> dict[str, Any]:
        """Return the seconds for a single image, by `predict` or by a `call`."""
        call = getattr(self._peer(), f"{how}_one")(self._floats("x_test")[:1].copy())
        return {"value": _median(call, seconds)}

    def conv(self, shape: list[int], seconds: float, **settings: int) -> dict[str, Any]:
        """Return the seconds of a convolution's forward and backward; of several variants the fastest."""
        import numpy as np

        x = np.random.default_rng(0).random(shape, np.float32)
        times = {name: _median(run, seconds) for name, run in self._peer().conv(x, **settings).items()}
        return {"value": min(times.values()), **(times if len(times) > 1 else {})}

    def _peer(self) -> Any:
        if self.peer is None:
            path = HERE / "peers" / f"{self.name}_peer.py"
            weights = [self._load(f"weight{i}") for i in range(10)]
            self.peer = runpy.run_path(str(path))["Peer"](weights, self.threads)
        return self.peer

    def _load(self, name: str) -> Any:
        import numpy as np

        return np.load(self.folder / f"{name}.npy")

    def _floats(self, name: str) -> Any:
        if name not in self.floats:
            self.floats[name] = self._load(name).astype("float32") / 255
        return self.floats[name]


def _seconds(call: Callable) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _median(call: Callable, seconds: float, least: int = 3) -> float:
    """Return the median time of a call, after two that are not counted, of as many as fit into `seconds`."""
    call()
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        times.append(_seconds(call))
    return statistics.median(times)


def main(name: str, threads: int, folder: Path, packages: list[str]) -> None:
    """Answer until there are no more tasks."""
    sys.path.pop(0)  # this file's folder, which is nobody's package
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what frameworks print is no answer
    if hasattr(
        os, "sched_setaffinity"
    ):  # threads that nobody can configure find no more cores than the others
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    worker = Worker(name, threads, folder, packages)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            answer = getattr(worker, task.pop("do"))(**task)
        except Exception as error:  # also what a framework raises: it is the answer
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
