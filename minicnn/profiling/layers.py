"""The time of each layer, forward and backward, in a training step."""

import copy
import math
import statistics
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minicnn.layers import Sequential
from minicnn.layers.summary import LayerCost, layer_costs
from minicnn.losses import softmax_cross_entropy
from minicnn.optimizers import Adam
from minicnn.profiling.machine import describe_machine
from minicnn.safeguards.claims import reading
from minicnn.validation import check_int

WARM_UP = 2  # untimed steps, in which memory is allocated and threads start
_SECONDS, _MIN_STEPS = 3.0, 5  # the default: steps for 3 seconds, at least 5


def profile(
    model: Sequential, batch_size: int = 128, threads: int = 1, steps: int | None = None
) -> dict[str, Any]:
    """Time each layer of a model in training steps on random images with random labels.

    A copy of the model is trained with softmax cross-entropy and Adam; the model itself is not changed. As in
    training, the first layer computes no dx.

    Parameters
    ----------
    model : Sequential
        A built model that returns logits, (N, K).
    batch_size : int
        Images per step.
    threads : int
        Threads of BLAS. (In `Trainer`, threads divide the batch instead.)
    steps : int, optional
        Number of timed steps, after two for warm-up; by default as many as fit into 3 seconds, at least 5.

    Returns
    -------
    dict
        `machine`, see `describe_machine`; `batch_size`; `steps`; `layers`: a row for each layer, the loss and
        Adam; `total`. A row has `name`; the medians `forward_ms` and `backward_ms`; its `share` of the step;
        for the batch, `macs` (forward and backward), `bytes_cached` (an array that two layers cache is
        counted once) and `bytes_output`; `gflops`, where a MAC is two operations, 0 without weights; and
        `share_of_peak`.

    Examples
    --------
    >>> from minicnn.models import lenet5
    >>> found = profile(lenet5().build((28, 28, 1), rng=0), batch_size=4, steps=1)
    >>> [row["name"] for row in found["layers"]][:3], found["layers"][0]["macs"]
    (['0 Conv2D', '1 ReLU', '2 Pool2D'], 940800)
    """
    batch_size, threads = check_int(batch_size, "batch_size", low=1), check_int(threads, "threads", low=1)
    if steps is not None:
        check_int(steps, "steps", low=1)
    if not isinstance(model, Sequential):
        raise TypeError(f"`model` must be a Sequential, got {model!r}")
    rows = _rows(model, batch_size)
    machine = describe_machine(threads)
    with reading(model):
        twin = copy.deepcopy(model)
    with threadpool_limits(threads, "blas"), np.errstate(all="ignore"):
        times = _timed_steps(twin, batch_size, steps)
    # (steps, rows, 2) -> (rows, 2)
    medians = [tuple(map(statistics.median, zip(*pairs, strict=True))) for pairs in zip(*times, strict=True)]
    total = sum(map(sum, medians))
    for row, (forward, backward) in zip(rows, medians, strict=True):
        row |= {"forward_ms": 1000 * forward, "backward_ms": 1000 * backward}
        row["share"] = (forward + backward) / total
        row |= _speed(row["macs"], forward + backward, machine)
    return {
        "machine": machine,
        "batch_size": batch_size,
        "steps": len(times),
        "layers": rows,
        "total": _total(rows, total, machine),
    }


def _total(rows: list[dict[str, Any]], seconds: float, machine: dict[str, Any]) -> dict[str, Any]:
    """Return the row of the whole step."""
    keys = ("forward_ms", "backward_ms", "macs", "bytes_cached", "bytes_output")
    sums = {key: sum(row[key] for row in rows) for key in keys}
    return {"name": "total", **sums, "share": 1.0, **_speed(sums["macs"], seconds, machine)}


def _rows(model: Sequential, batch_size: int) -> list[dict[str, Any]]:
    """Return the part of the rows that needs no clock: names, MACs and bytes."""
    rows = [
        {
            "name": cost.name,
            "macs": batch_size * _forward_backward(i, cost),
            "bytes_cached": batch_size * cost.bytes_cached,
            "bytes_output": batch_size * math.prod(cost.output_shape) * model.dtype.itemsize,
        }
        for i, cost in enumerate(layer_costs(model, list(model)))
    ]
    zero = {"macs": 0, "bytes_cached": 0, "bytes_output": 0}
    return [*rows, {"name": "loss", **zero}, {"name": "Adam", **zero}]


def training_macs(model: Sequential) -> int:
    """Return the MACs of a training step for one example, forward and backward."""
    return sum(_forward_backward(i, cost) for i, cost in enumerate(layer_costs(model, list(model))))


def _forward_backward(i: int, cost: LayerCost) -> int:
    return cost.macs * (2 if i == 0 else 3)  # y, dkernel and, except in the first layer, dx


def _speed(macs: int, seconds: float, machine: dict[str, Any]) -> dict[str, float]:
    gflops = 2 * macs / seconds / 1e9
    return {"gflops": gflops, "share_of_peak": gflops / machine["gemm_gflops"]}


def _timed_steps(model: Sequential, batch_size: int, steps: int | None) -> list[list[tuple[float, float]]]:
    """Return for each step the seconds of each row, forward and backward."""
    rng = np.random.default_rng(0)
    x = rng.random((batch_size, *(model.input_shape or ())), np.float32).astype(model.dtype, copy=False)
    labels = rng.integers(model.output_shape[-1], size=batch_size)
    model.train().needs_dx = False
    optimizer, parameters = Adam(), model.parameters()
    times: list[list[tuple[float, float]]] = []
    start = 0.0
    for step in range(-WARM_UP, 10**6 if steps is None else steps):
        if step == 0:
            start = time.perf_counter()
        if steps is None and step >= _MIN_STEPS and time.perf_counter() - start > _SECONDS:
            break
        model.zero_grad()
        seconds = _step(model, x, labels)
        before = time.perf_counter()
        optimizer.step(parameters)
        times.append([*seconds, (0.0, time.perf_counter() - before)])
    return times[WARM_UP:]


def _step(layers: Iterable[Any], x: np.ndarray, labels: np.ndarray) -> list[tuple[float, float]]:
    """Run forward and backward; return the seconds of each layer, and of the loss."""
    layers = list(layers)
    forward: list[float] = []
    backward: list[float] = []
    for layer in layers:
        x = _timed(forward, layer, x)
    _, dy = _timed(forward, softmax_cross_entropy, x, labels)
    for layer in reversed(layers):
        dy = _timed(backward, layer.backward, dy)
    return list(zip(forward, [*reversed(backward), 0.0], strict=True))


def _timed(seconds: list[float], call: Callable, *args: Any) -> Any:
    start = time.perf_counter()
    value = call(*args)
    seconds.append(time.perf_counter() - start)
    return value
