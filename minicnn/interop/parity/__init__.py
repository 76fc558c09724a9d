"""One comparison: the same LeNet-5, from the same weights, on the same batches, in three frameworks.

Each framework runs in a process of its own (`worker`), so that times, memory and crashes are its own; what it
computed comes back as arrays, and is compared here, where none of the others is imported.
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.datasets import load_mnist
from minicnn.interop.parity.differences import compare_curves, compare_layers
from minicnn.interop.parity.installed import installed_mb
from minicnn.interop.parity.launch import launch
from minicnn.models import lenet5
from minicnn.validation import check_int

NEEDED = {"minicnn": ("minicnn",), "tensorflow": ("tensorflow",), "keras": ("keras", "tensorflow")}
INSTALL = "pip install 'minicnn-numpy[tensorflow]'"


def compare(
    steps: int = 100, batch_size: int = 128, seed: int = 0, test_images: int = 10_000
) -> dict[str, Any]:
    """Compare minicnn with TensorFlow and Keras, as far as they are installed, on LeNet-5 and MNIST.

    All start from the weights of `lenet5().build((28, 28, 1), rng=seed)` and train with Adam (learning rate
    0.001, eps 1e-7) on the same batches, in float32 and in float64. Differences are relative: the largest
    absolute one, divided by the largest value that TensorFlow or Keras has.

    Float64 curves stay together to the last digits. In float32 they may come apart, since training multiplies
    differences: in float64, first weights that differ by 1e-5 give losses that differ by 4 to 20 % within 100
    steps. Such differences come from rounding that decides which of two equal values is the maximum of a
    pooling window (TensorFlow's oneDNN; with TF_ENABLE_ONEDNN_OPTS=0 in the environment its curve stays
    within 1e-4), and from Keras's Adam, whose bias correction in float32 makes steps 7e-6 too short. So each
    framework's float32 is compared with its own float64 too.

    Parameters
    ----------
    steps : int
        Training steps of the loss curves; the test accuracy is that after them.
    batch_size : int
        Images in a step.
    seed : int
        Of the first weights, and of the choice and order of the training images.
    test_images : int
        So many test images decide the accuracy.

    Returns
    -------
    dict
        What `compare.json` holds. `settings`; `missing`: how to install what is not there, or why it did not
        run; `layers`: for each other framework and dtype, a row for each layer with the differences of its
        `output`, `dx`, `dkernel` and `dbias`; `curves`: losses, by framework and dtype; `curve_differences`:
        likewise, of ours to the others', step by step; `rounding`: of each framework's float32 curve to its
        own float64; `costs`: for each framework `test_accuracy`, `step_ms` (the median over short
        epochs in the framework's own loop), `first_step_s` (from process start to the end of the first
        step), `peak_memory_mb` (until the float32 curve ends), `installed_mb` (with all that it needs).
    """
    steps, batch_size = check_int(steps, "steps", low=1), check_int(batch_size, "batch_size", low=1)
    test_images, seed = check_int(test_images, "test_images", low=1), check_int(seed, "seed")
    missing = {name: INSTALL for name, packages in NEEDED.items() if not all(map(_found, packages))}
    outcomes: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        _write_task(Path(folder), steps, batch_size, seed, test_images)
        for name in [name for name in NEEDED if name not in missing]:
            try:
                outcomes[name] = launch(name, Path(folder))
            except RuntimeError as error:
                missing[name] = str(error)
    if "minicnn" in missing:
        raise RuntimeError(f"minicnn itself must run: {missing['minicnn']}")
    names = [name for name in NEEDED if name in outcomes]
    ours, others = outcomes["minicnn"], {name: outcomes[name] for name in names[1:]}
    return {
        "settings": {"steps": steps, "batch_size": batch_size, "seed": seed},
        "missing": missing,
        "layers": {name: compare_layers(ours["arrays"], theirs["arrays"]) for name, theirs in others.items()},
        "curves": {name: outcomes[name]["curves"] for name in names},
        "curve_differences": {
            name: {
                dtype: compare_curves(ours["curves"][dtype], curve)
                for dtype, curve in theirs["curves"].items()
            }
            for name, theirs in others.items()
        },
        "rounding": {name: compare_curves(*outcomes[name]["curves"].values()) for name in names},
        "costs": {
            name: {**outcomes[name]["costs"], "installed_mb": installed_mb(*NEEDED[name])} for name in names
        },
    }


def _found(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _write_task(folder: Path, steps: int, batch_size: int, seed: int, test_images: int) -> None:
    """Write what every worker computes on: weights, batches and test images."""
    (x, y), (x_test, y_test) = load_mnist()
    chosen = np.random.default_rng(seed).permutation(len(x))
    chosen = np.resize(chosen, steps * batch_size)  # begins anew where there are not enough
    model = lenet5().build((28, 28, 1), rng=seed, dtype=np.float64)
    for i, weight in enumerate(model.get_weights()):
        np.save(folder / f"weight{i}.npy", weight)
    arrays = {
        "x": x[chosen].reshape(steps, batch_size, *x.shape[1:]),
        "y": y[chosen].reshape(steps, batch_size),
        "x_test": x_test[:test_images],
        "y_test": y_test[:test_images],
    }
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
