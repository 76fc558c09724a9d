"""The process of one framework: it reads tasks, one JSON object per line, and replies to each with a line.

It is run by its path, and loads what it needs of this package by path, so that it also works in a virtual
environment with nothing but the framework. Arguments: the framework, the number of threads, the folder with
the data, and the packages of the framework.
"""

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
MAX_EPOCHS = 10


class Worker:
    """The tasks of a framework: each public method is one, and returns its `value`, and details."""

    def __init__(self, name: str, threads: int, folder: Path, packages: list[str]) -> None:
        self.name, self.threads, self.folder, self.packages = name, threads, folder, packages
        self.floats: dict[str, Any] = {}
        self.warm: set[tuple[str, int, int]] = set()
        self.module: dict[str, Any] | None = None
        self.peers: dict[str, dict[str, Any]] = {}  # by net and memory layout

    def about(self) -> dict[str, Any]:
        """Return the version of the first package; ImportError unless all are installed."""
        for package in self.packages:
            if importlib.util.find_spec(package) is None:
                raise ImportError(f"{package} is not installed")
        package = self.packages[0]
        distributions = importlib.metadata.packages_distributions().get(package)
        if not distributions:  # minicnn, where it runs from a folder
            return {"value": importlib.import_module(package).__version__}
        return {"value": importlib.metadata.version(distributions[0])}

    def size(self) -> dict[str, Any]:
        """Return the installed size of the packages and their requirements, in MB."""
        measure = runpy.run_path(str(HERE.parent / "profiling" / "installed.py"))
        return {"value": measure["installed_mb"](*self.packages)}

    def train(self, batch_size: int, target: float, min_epochs: int, seed: int) -> dict[str, Any]:
        """Train LeNet-5 until the test accuracy reaches the target, but at least `min_epochs`; return it."""
        peer, y, y_test = self._peer(), self._load("y"), self._load("y_test")
        x, x_test = peer.prepare(self._load("x")), peer.prepare(self._load("x_test"))
        import numpy as np

        for epoch in range(MAX_EPOCHS):
            peer.epoch(x, y, batch_size, np.random.default_rng([seed, epoch]).permutation(len(x)))
            accuracy = float((peer.predict(x_test).argmax(axis=1) == y_test).mean())
            if accuracy >= target and epoch + 1 >= min_epochs:
                return {"value": accuracy, "epochs": epoch + 1}
        raise RuntimeError(f"the test accuracy is only {accuracy:.4f} after {MAX_EPOCHS} epochs")

    def epoch(self, batch_size: int, images: int, net: str = "lenet5") -> dict[str, Any]:
        """Return the seconds of an epoch over the first `images` images, in the fastest memory layout."""
        x, y = self._images(net)
        x, y = x[:images], y[:images]
        few = min(WARM_UP, 1 + len(x) // batch_size // 4) * batch_size + len(x) % batch_size
        times = {}
        for layout, peer in self._layouts(net).items():
            if (net, batch_size, images) not in self.warm:  # the smaller last batch included
                peer.epoch(x[:few], y[:few], batch_size, None)
            times[layout] = _seconds(lambda peer=peer: peer.epoch(x, y, batch_size, None))
        self.warm.add((net, batch_size, images))
        return _fastest(times)

    def predict(self, seconds: float, net: str = "lenet5") -> dict[str, Any]:
        """Return the seconds of a prediction for all test images, in the fastest memory layout."""
        x = self._test_images(net)
        layouts = self._layouts(net).items()
        return _fastest({name: _median(lambda peer=peer: peer.predict(x), seconds) for name, peer in layouts})

    def one(self, how: str, seconds: float, net: str = "lenet5") -> dict[str, Any]:
        """Return the seconds for a single image, by `predict` or by calling the model."""
        x = self._test_images(net)[:1].copy()
        layouts = self._layouts(net).items()
        calls = {name: getattr(peer, f"{how}_one")(x) for name, peer in layouts}
        return _fastest({name: _median(call, seconds) for name, call in calls.items()})

    def conv(self, shape: list[int], seconds: float, **settings: int) -> dict[str, Any]:
        """Return the seconds of a convolution's forward and backward pass, in the fastest variant."""
        import numpy as np

        x = np.random.default_rng(0).random(shape, np.float32)
        calls = self._peer().conv(x, **settings).items()
        return _fastest({name: _median(call, seconds) for name, call in calls})

    def _peer(self) -> Any:
        """Return LeNet-5 in the first memory layout."""
        return next(iter(self._layouts("lenet5", first=True).values()))

    def _layouts(self, net: str, first: bool = False) -> dict[str, Any]:
        """Return the peers of a net: one for each memory layout of the framework, or only the first."""
        module = self._module()
        names = getattr(module["Peer"], "LAYOUTS", ("",))
        made = self.peers.setdefault(net, {})
        for layout in names[:1] if first else names:
            if layout not in made:
                description = json.loads((self.folder / f"{net}.json").read_text())
                weights = [self._load(path.stem) for path in sorted(self.folder.glob(f"{net}.weight*.npy"))]
                arguments = (description, weights, self.threads, *[layout] * bool(layout))
                made[layout] = module["Peer"](*arguments)
        return made

    def _module(self) -> dict[str, Any]:
        if self.module is None:
            self.module = runpy.run_path(str(HERE / "peers" / f"{self.name}_peer.py"))
        return self.module

    def _images(self, net: str) -> tuple[Any, Any]:
        """Return the training images of a net, and their labels."""
        kind = "" if net.startswith("lenet5") else "color_"
        return self._floats(f"{kind}x"), self._load(f"{kind}y")

    def _test_images(self, net: str) -> Any:
        return self._floats("x_test") if net.startswith("lenet5") else self._floats("color_x")

    def _load(self, name: str) -> Any:
        import numpy as np

        return np.load(self.folder / f"{name}.npy")

    def _floats(self, name: str) -> Any:
        if name not in self.floats:
            self.floats[name] = self._load(name).astype("float32") / 255
        return self.floats[name]


def _fastest(times: dict[str, float]) -> dict[str, Any]:
    """Return the least time as the `value`; with more than one layout also the time of each."""
    return {"value": min(times.values()), **(times if len(times) > 1 else {})}


def _seconds(call: Callable) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _median(call: Callable, seconds: float, min_calls: int = 3) -> float:
    """Return the median time of as many calls as fit into `seconds`, after two for warm-up."""
    call()
    call()
    times: list[float] = []
    end = time.perf_counter() + seconds
    while len(times) < min_calls or time.perf_counter() < end:
        times.append(_seconds(call))
    return statistics.median(times)


def main(name: str, threads: int, folder: Path, packages: list[str]) -> None:
    """Reply to tasks until standard input ends."""
    sys.path.pop(0)  # this file's folder is not to be imported from
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # output of the frameworks does not mix with the replies
    if hasattr(os, "sched_setaffinity"):  # so that thread pools without a setting have the same cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    worker = Worker(name, threads, folder, packages)
    for line in sys.stdin:
        task = json.loads(line)
        try:
            reply = getattr(worker, task.pop("do"))(**task)
        except Exception as error:  # errors of the framework are replies too
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), sys.argv[4:])
