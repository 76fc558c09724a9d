"""The process of one framework: `python -m minicnn.interop.parity.worker`.

Arguments: the framework, the folder of the task, and the time when the process was started. Time and memory
are measured first, before the rest of the comparison enlarges the process.
"""

import importlib
import json
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

TIMED_STEPS = 15  # per epoch; three epochs are timed, after one for warm-up


def main(name: str, folder: Path, started: float) -> None:
    """Write NAME.json and NAME.npz into the folder."""
    weights = [np.load(folder / f"weight{i}.npy") for i in range(10)]
    x, y = (np.load(folder / f"{array}.npy", mmap_mode="r") for array in "xy")
    # Imported here, since the import is part of the time to the first step.
    make = importlib.import_module(f"minicnn.interop.parity.{name}_net").Net
    costs: dict[str, Any] = {}
    curves: dict[str, list[float]] = {}
    arrays: dict[str, Any] = {}
    for dtype in ("float32", "float64"):
        net = make(weights, dtype)
        curves[dtype] = [net.step(_scaled(x[0], dtype), y[0])]
        costs.setdefault("first_step_s", time.time() - started)
        pairs = zip(x[1:], y[1:], strict=True)
        curves[dtype] += [net.step(_scaled(images, dtype), labels) for images, labels in pairs]
        if dtype == "float32":
            costs |= _costs(net, x, y, folder)
        net.set_weights(weights)
        arrays |= {f"{dtype} {key}": value for key, value in net.layers(_scaled(x[0], dtype), y[0]).items()}
    np.savez(folder / f"{name}.npz", **arrays)
    (folder / f"{name}.json").write_text(json.dumps({"costs": costs, "curves": curves}))


def _costs(net: Any, x: np.ndarray, y: np.ndarray, folder: Path) -> dict[str, Any]:
    """Return the test accuracy of a trained network, the time of a step, and the peak memory."""
    from minicnn.profiling import peak_memory_mb  # here, since the first step does not need it

    peak = peak_memory_mb()
    x_test, y_test = (np.load(folder / f"{array}_test.npy") for array in "xy")
    right = net.predict(_scaled(x_test, "float32")).argmax(axis=1) == y_test
    images, labels = (np.resize(array, (TIMED_STEPS, *array.shape[1:])) for array in (x, y))
    epoch = _scaled(images, "float32").reshape(-1, *x.shape[2:]), labels.reshape(-1), x.shape[1]
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        net.epoch(*epoch)
        seconds.append(time.perf_counter() - start)
    return {
        "step_ms": 1000 * statistics.median(seconds[1:]) / TIMED_STEPS,
        "peak_memory_mb": peak,
        "test_accuracy": float(np.mean(right)),
    }


def _scaled(images: np.ndarray, dtype: str) -> np.ndarray:
    return np.divide(images, 255, dtype=dtype)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
