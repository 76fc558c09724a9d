"""Comparison of LeNet-5 in three frameworks, with the same weights and batches.

Each framework runs in its own process (`worker`), so that times, memory and crashes are its own. The results
are compared in this process, which imports none of the frameworks.
"""

import importlib.util
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.datasets import load_mnist
from minicnn.interop.parity.differences import compare_curves, compare_layers
from minicnn.interop.parity.launch import run_worker
from minicnn.models import lenet5
from minicnn.profiling.installed import installed_mb
from minicnn.validation import check_int

NEEDED = {"minicnn": ("minicnn",), "tensorflow": ("tensorflow",), "keras": ("keras", "tensorflow")}
INSTALL = "pip install 'minicnn-numpy[tensorflow]'"


def compare(
    steps: int = 100, batch_size: int = 128, seed: int = 0, test_images: int = 10_000
) -> dict[str, Any]:
    """Compare minicnn with TensorFlow and Keras, as far as they are installed, on LeNet-5 and MNIST.

    All start with the weights of `lenet5().build((28, 28, 1), rng=seed)` and train with Adam (learning rate
    0.001, eps 1e-7) on the same batches, in float32 and in float64. Differences are relative: the largest
    absolute difference divided by the largest absolute value in TensorFlow or Keras.

    In float64 the loss curves agree to the last digits. In float32 they may diverge, since training amplifies
    differences: in float64, initial weights that differ by 1e-5 lead to losses that differ by 4 to 20 %
    within 100 steps. Causes are rounding, which decides between two nearly equal maxima of a pooling window
    (TensorFlow's oneDNN; with TF_ENABLE_ONEDNN_OPTS=0 in the environment the curve stays within 1e-4), and
    the bias correction of Keras's Adam in float32, which makes steps 7e-6 too short. So the float32 curve of
    each framework is also compared with its own float64 curve.

    Parameters
    ----------
    steps : int
        Training steps of the loss curves; the test accuracy is measured after them.
    batch_size : int
        Images per step.
    seed : int
        Seed of the initial weights, and of the choice and order of the training images.
    test_images : int
        Number of test images for the accuracy.

    Returns
    -------
    dict
        The content of `compare.json`. `settings`; `missing`: how to install a framework that is missing, or
        why it did not run; `layers`: for each other framework and dtype, a row for each layer with the
        differences of `output`, `dx`, `dkernel` and `dbias`; `curves`: losses, by framework and dtype;
        `curve_differences`: by framework and dtype, the difference from minicnn's losses at each step;
        `rounding`: by framework, the difference between its float32 and float64 losses; `costs`: for each
        framework `test_accuracy`, `step_ms` (median over short epochs in the framework's own loop),
        `first_step_s` (from process start to the end of the first step), `peak_memory_mb` (until the end of
        the float32 curve) and `installed_mb` (requirements included).
    """
    steps, batch_size = check_int(steps, "steps", low=1), check_int(batch_size, "batch_size", low=1)
    test_images, seed = check_int(test_images, "test_images", low=1), check_int(seed, "seed")
    with tempfile.TemporaryDirectory() as folder:
        _write_task(Path(folder), steps, batch_size, seed, test_images)
        outcomes, missing = _run_workers(Path(folder))
    ours, others = outcomes["minicnn"], {name: outcomes[name] for name in outcomes if name != "minicnn"}
    return {
        "settings": {"steps": steps, "batch_size": batch_size, "seed": seed},
        "missing": missing,
        "layers": {name: compare_layers(ours["arrays"], theirs["arrays"]) for name, theirs in others.items()},
        "curves": {name: outcome["curves"] for name, outcome in outcomes.items()},
        "curve_differences": {
            name: {
                dtype: compare_curves(ours["curves"][dtype], curve)
                for dtype, curve in theirs["curves"].items()
            }
            for name, theirs in others.items()
        },
        "rounding": {name: compare_curves(*each["curves"].values()) for name, each in outcomes.items()},
        "costs": {
            name: {**outcome["costs"], "installed_mb": installed_mb(*NEEDED[name])}
            for name, outcome in outcomes.items()
        },
    }


def _run_workers(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    """Run the installed frameworks; return the results by name, and why a framework has none."""
    missing = {name: INSTALL for name, packages in NEEDED.items() if not all(map(_is_installed, packages))}
    outcomes: dict[str, Any] = {}
    for name in [name for name in NEEDED if name not in missing]:
        try:
            outcomes[name] = run_worker(name, folder)
        except RuntimeError as error:
            missing[name] = str(error)
    if "minicnn" in missing:
        raise RuntimeError(f"minicnn itself does not run: {missing['minicnn']}")
    return outcomes, missing


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _write_task(folder: Path, steps: int, batch_size: int, seed: int, test_images: int) -> None:
    """Write the weights, batches and test images that all workers load."""
    (x, y), (x_test, y_test) = load_mnist()
    chosen = np.random.default_rng(seed).permutation(len(x))
    chosen = np.resize(chosen, steps * batch_size)  # repeats them if there are too few
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
