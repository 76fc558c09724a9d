"""Measure the layers of two nets with 3x3 kernels one by one, here and in PyTorch, on one core.

python examples/fast_convolution/layers.py [--torch PYTHON] [--rounds N]

PYTHON is an interpreter with PyTorch (by default this one). The frameworks take turns, each in a process of
its own, with 32 images of 32x32x3; the numbers are medians of CPU time.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

IMAGES = 32
Row = tuple[str, float, float]  # the layer; milliseconds of forward and backward


def names(batch_norm: bool) -> list[str]:
    """Return the layers of the net up to the last pooling."""
    found = []
    for filters in (32, 64):
        for _ in range(2):
            found += [f"Conv {filters}", *(["BatchNorm"] if batch_norm else []), "ReLU"]
        found += ["Pool"]
    return found


def milliseconds(function: Callable[[], Any]) -> float:
    """Return the CPU time of a call, the median of a fifth of a second."""
    function()
    times, end = [], time.perf_counter() + 0.2
    while len(times) < 3 or time.perf_counter() < end:
        start = time.process_time()
        function()
        times.append(1e3 * (time.process_time() - start))
    return sorted(times)[len(times) // 2]


def minicnn_rows(batch_norm: bool) -> list[Row]:
    """Return the times of minicnn's layers."""
    import numpy as np

    from minicnn import BatchNorm, Conv2D, Pool2D, ReLU, Sequential

    kinds = {"BatchNorm": BatchNorm, "ReLU": ReLU, "Pool": lambda: Pool2D(2)}
    model = Sequential(
        Conv2D(int(name.split()[1]), 3, padding="same") if name.startswith("Conv") else kinds[name]()
        for name in names(batch_norm)
    ).build((32, 32, 3), rng=0)
    model.train().needs_dx = False
    x, rows = np.random.default_rng(0).random((IMAGES, 32, 32, 3), np.float32), []
    for name, layer in zip(names(batch_norm), model, strict=True):
        y = layer(x)
        dy = np.ones_like(y)  # in the layout of y
        rows.append((name, milliseconds(partial(layer, x)), milliseconds(partial(layer.backward, dy))))
        x = y
    return rows


def torch_rows(batch_norm: bool) -> list[Row]:
    """Return the times of PyTorch's modules, channels last."""
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, rows = torch.rand(IMAGES, 3, 32, 32).to(memory_format=torch.channels_last), []
    for i, name in enumerate(names(batch_norm)):
        channels, x = x.shape[1], x.detach().requires_grad_(i > 0)
        if name.startswith("Conv"):
            layer = nn.Conv2d(channels, int(name.split()[1]), 3, padding=1)
        else:
            layer = {"BatchNorm": nn.BatchNorm2d(channels), "ReLU": nn.ReLU(), "Pool": nn.MaxPool2d(2)}[name]
        layer = layer.to(memory_format=torch.channels_last)
        y = layer(x)
        dy = torch.ones_like(y)
        backward = partial(torch.autograd.backward, y, dy, retain_graph=True)
        rows.append((name, milliseconds(partial(layer, x)), milliseconds(backward)))
        x = y
    return rows


def measured(python: str, framework: str, batch_norm: bool) -> list[Row]:
    """Return the rows of one framework, measured in a new process with one thread."""
    root = str(Path(__file__).parents[2])
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL")}
    command = [python, __file__, "--worker", framework, *(["--batch-norm"] if batch_norm else [])]
    done = subprocess.run(
        command, env={**os.environ, **threads, "PYTHONPATH": root}, stdout=subprocess.PIPE, check=True
    )
    return [tuple(row) for row in json.loads(done.stdout)]


def median(values: list[float]) -> float:
    """Return the middle one."""
    return sorted(values)[len(values) // 2]


def print_net(title: str, ours: list[list[Row]], theirs: list[list[Row]]) -> None:
    """Print a table of the layers, medians over the rounds, and of their sums."""
    print(f"\n| {title} | forward: minicnn, PyTorch | backward: minicnn, PyTorch |\n| --- | --- | --- |")
    sums = [0.0] * 4
    for i, (name, *_) in enumerate(ours[0]):
        times = [median([rows[i][k] for rows in rounds]) for k in (1, 2) for rounds in (ours, theirs)]
        sums = [a + b for a, b in zip(sums, times, strict=True)]
        print("| {} | {:.2f}, {:.2f} | {:.2f}, {:.2f} |".format(name, *times))
    print("| together | {:.1f}, {:.1f} | {:.1f}, {:.1f} |".format(*sums))
    print(f"PyTorch's time divided by minicnn's: {(sums[1] + sums[3]) / (sums[0] + sums[2]):.2f}", flush=True)


def main(argv: list[str] | None = None) -> None:
    """Print a table for the net without and with BatchNorm."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="interpreter with PyTorch")
    parser.add_argument("--rounds", type=int, default=5, help="of both frameworks (default: %(default)s)")
    parser.add_argument("--worker", choices=["minicnn", "torch"], help=argparse.SUPPRESS)
    parser.add_argument("--batch-norm", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.worker:
        rows = {"minicnn": minicnn_rows, "torch": torch_rows}[args.worker](args.batch_norm)
        print(json.dumps(rows))
        return
    for batch_norm in (False, True):
        ours, theirs = [], []
        for _ in range(max(args.rounds, 1)):
            ours.append(measured(sys.executable, "minicnn", batch_norm))
            theirs.append(measured(args.torch, "torch", batch_norm))
        print_net("3x3, BatchNorm" if batch_norm else "3x3", ours, theirs)


if __name__ == "__main__":
    main()
