"""Independence of the examples in a batch: neighbours, shards, and extreme values."""

from functools import partial

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.sums import run_in_shards
from minicnn.parallel.whole_batch import asks_for_sums
from minicnn.testing.inputs import LARGE_SHIFT
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.passes import Run, run
from minicnn.testing.report import CheckFailed, fail_check, require_equal

_HINT = "a mean, a maximum or a reshape over the batch axis, or numbers drawn from a fixed seed"


def check_examples(target: LayerUnderTest) -> None:
    """Check that examples are independent: two interleaved shards give the results of the whole batch.

    In training mode, layers that draw random numbers are exempt, and those that declare `batch_dependent`
    unless they call `sum_over_batch`; in eval mode only those that declare it and have no running statistics
    to use instead. Layers whose forward changes weights (running statistics) must declare it too.
    """
    n = 2 * target.batch_size
    x, dy = target.draw(examples=n), target.draw_dy(examples=n)
    layer = target.fresh().eval()
    what = "in eval mode, the outputs of two shards differ from those of the whole batch"
    plain, in_shards = layer(x).copy(), _forward_in_shards(layer, x)
    try:
        require_equal(in_shards, plain, what, "y", _HINT)
        independent = True
    except CheckFailed:
        if target.has_statistics and target.batch_dependent:
            hint = "the statistics of the batch in eval mode, in place of the running ones"
            require_equal(in_shards, plain, what, "y", hint)
        if not target.batch_dependent:
            raise
        independent = False
        target.remark("in eval mode, too, outputs depend on the other examples of the batch")
    for shift in (LARGE_SHIFT, -LARGE_SHIFT) if target.inputs is None else ():
        _check_large_values(target, layer, x, dy, shift, plain if independent else None)
    if target.batch_dependent:
        if asks_for_sums(layer) and not target.random:  # others are trained on whole batches
            _check_shards(target, x, dy, "a mean or a sum over the shard alone: use `sum_over_batch`")
        return
    layer = target.fresh()
    before = layer.get_weights()
    layer(x.copy())
    for (name, p), old in zip(layer.named_parameters(), before, strict=True):
        if not p.trainable and not np.array_equal(p.value, old):
            what = "forward changes a weight in training mode, without `batch_dependent = True`"
            hint = "running averages; on several cores each shard of a batch would update them"
            fail_check(what, name, hint=hint)
    if not target.random:
        _check_shards(target, x, dy, _HINT)


def _check_large_values(
    target: LayerUnderTest,
    layer: Layer,
    x: np.ndarray,
    dy: np.ndarray,
    shift: float,
    plain: np.ndarray | None,
) -> None:
    """Check that an example of large values gives no NaN, and leaves the outputs of others as in `plain`."""
    shifted = x.copy()
    shifted[0] += shift
    what = "an example with large values changes the output of the others"
    if plain is not None:
        require_equal(layer(shifted)[1:], plain[1:], what, "y", _HINT)
    n = target.smallest_batch
    hint = "exp overflows, then inf / inf; subtract the maximum of the row, or use exp(-abs(x))"
    results = run(target.fresh(), shifted[:n], dy[:n]).arrays()
    for name, array in [("y", layer(shifted[:n])), *results.items()]:
        if np.isnan(array).any():
            fail_check(f"inputs of {shift:g} give NaN", name, hint=hint)
    if np.isnan(target.fresh(np.float32)(shifted[:n].astype(np.float32))).any():
        hint = "an overflow, or a difference of large squares such as mean(x**2) - mean(x)**2"
        fail_check(f"inputs of {shift:g} give NaN in float32", "y", hint=hint)


def _check_shards(target: LayerUnderTest, x: np.ndarray, dy: np.ndarray, hint: str) -> None:
    """Check that the y and dx of two shards make up those of the batch, and weight gradients add up."""
    layer, *layers = (target.fresh() for _ in range(3))
    whole = run(layer, x, dy)

    def run_shard(i: int) -> Run:
        with np.errstate(all="ignore"):  # a setting of each thread
            return run(layers[i], x[i::2], dy[i::2])

    shards = run_in_shards([partial(run_shard, i) for i in (0, 1)])
    for shard in layers:
        for (name, p), expected in zip(shard.named_parameters(), layer.get_weights(), strict=True):
            require_equal(p.value, expected, "forward changes a weight otherwise in shards", name, hint)
    for name, expected in whole.arrays().items():
        parts = [shard.arrays()[name] for shard in shards]
        if name in ("y", "dx"):
            got = np.stack(parts, axis=1).reshape(expected.shape)
            what = f"{name} of two interleaved shards differs from that of the whole batch"
        else:
            got = parts[0] + parts[1]
            what = f"{name} of two interleaved shards does not add up to that of the whole batch"
            hint = "a mean over the batch; the loss already divides by it, so sum the gradients of weights"
        require_equal(got, expected, what, name, hint)


def _forward_in_shards(layer: Layer, x: np.ndarray) -> np.ndarray:
    parts = [layer(x[i::2].copy()) for i in (0, 1)]
    return np.stack(parts, axis=1).reshape(len(x), *parts[0].shape[1:])
