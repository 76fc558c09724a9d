"""Measure convolutions on one thread: speed of the forward and both gradients, and their errors in float32.

python examples/fast_convolution/measure.py [--seconds S]
"""

import argparse
import time
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from minicnn.ops import conv2d, conv2d_backward

# Images, height and width, channels, filters, rows and columns of the kernel.
LAYERS = [
    (32, 32, 32, 32, 3),
    (32, 16, 32, 64, 3),
    (32, 16, 64, 64, 3),
    (64, 8, 128, 128, 3),
    (32, 16, 32, 32, 5),
    (8, 56, 64, 64, 3),
    (8, 27, 96, 256, 5),
]


def rates(functions: list[partial], multiplications: int, seconds: float) -> list[float]:
    """Return billion multiplications per second of CPU time, medians of runs in turns."""
    times: list[list[float]] = [[] for _ in functions]
    end = time.perf_counter() + seconds
    while len(times[0]) < 3 or time.perf_counter() < end:
        for function, runs in zip(functions, times, strict=True):
            start = time.process_time()
            function()
            runs.append(time.process_time() - start)
    return [multiplications / float(np.median(runs)) / 1e9 for runs in times]


def laid_out_as(y: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the values in the same layout of memory as y."""
    array = np.empty_like(y)
    array[...] = values
    return array


def error(found: np.ndarray, exact: np.ndarray) -> float:
    """Return the root mean square error relative to the largest number."""
    return float(np.sqrt(np.mean((found - exact) ** 2)) / np.abs(exact).max())


def main(argv: list[str] | None = None) -> None:
    """Print a line for each layer: the forward's rate, the gradients' as multiples of it, errors in 1e-7."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=4.0, help="for each layer (default: %(default)s)")
    args = parser.parse_args(argv)
    print("| layer, image, images | forward | dx | dkernel | error of y | of dx | of dkernel |")
    for n, side, c, filters, k in LAYERS:
        rng = np.random.default_rng(0)
        kernel = rng.standard_normal((k, k, c, filters))
        x, dy = rng.standard_normal((n, side, side, c)), rng.standard_normal((n, side, side, filters))
        results = []
        for dtype in (np.float64, np.float32):
            x, dy, kernel = (array.astype(dtype) for array in (x, dy, kernel))
            y = conv2d(x, kernel, padding="same")
            results.append((y, *conv2d_backward(dy, x, kernel, padding="same")[:2]))
        # In the layout of memory that the layers of a net keep.
        x, dy = conv2d(x, np.eye(c, dtype=x.dtype)[None, None]), laid_out_as(y, dy)
        gradient = partial(conv2d_backward, dy, x, kernel, padding="same", need_dbias=False)
        passes = [
            partial(conv2d, x, kernel, padding="same"),
            partial(gradient, need_dkernel=False),
            partial(gradient, need_dx=False),
        ]
        with threadpool_limits(1):
            speed = rates(passes, y.size * k * k * c, args.seconds)
        errors = [1e7 * error(single, double) for double, single in zip(*results, strict=True)]
        numbers = " | ".join(
            [f"{speed[0]:.0f}", *(f"{s / speed[0]:.1f}" for s in speed[1:]), *(f"{e:.1f}" for e in errors)]
        )
        print(f"| {k}x{k}, {c} to {filters}, {side}x{side}, {n} | {numbers} |", flush=True)


if __name__ == "__main__":
    main()
