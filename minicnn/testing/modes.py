"""What must not matter: what ran before, the global random stream, the other examples of a batch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.layer_under_test import LayerUnderTest, run
from minicnn.testing.report import SAME, fail, require_all_equal, require_equal

MANY = 100  # forwards, for an average
FAR = 1e4  # added to one example: far enough for exp to under- or overflow


def check_modes(subject: LayerUnderTest) -> None:
    """Check that in eval mode nothing is random, and nothing changes: no weight, no later output."""
    x = subject.draw()
    layer = subject.fresh()
    layer(subject.draw())  # moves running averages, and draws from a random stream
    layer.eval()
    before = layer.get_weights()
    first = layer(x.copy())
    layer(subject.draw())
    second = layer(x.copy())
    hint = "a layer that asks `self.training` before it drops or draws"
    require_equal(second, first, "in eval mode the same input must give the same output", "y", hint, SAME)
    names = [name for name, _ in layer.named_parameters()]
    for name, old, new in zip(names, before, layer.get_weights(), strict=True):
        hint = "running averages belong to training mode"
        require_equal(new, old, "a forward in eval mode must not change weights", name, hint, rtol=0.0)
    given = x.copy()
    if np.may_share_memory(layer(given), given) or np.may_share_memory(first, second):
        hint = "`return x`, or a buffer that the layer keeps: return a copy"
        fail("in eval mode too y must be an array of its own", "y", hint=hint)
    require_equal(given, x, "in eval mode too forward must not write into x", "x", rtol=0.0)
    if subject.random:
        _check_noise(subject)
        _check_mean(subject)
    else:
        _check_agreement(subject)


def _check_noise(subject: LayerUnderTest) -> None:
    """Check that a layer whose outputs differ between the modes draws anew in each forward."""
    layer, x = subject.fresh(), subject.draw("positive")
    if [p for p in layer.parameters() if not p.trainable]:
        return  # the modes may differ by running statistics alone
    outputs = [layer(x.copy()) for _ in range(MANY)]
    if any(not np.array_equal(y, outputs[0]) for y in outputs):
        return
    calm = layer.eval()(x.copy())
    factor = outputs[0].sum() / calm.sum()  # the same for all where nothing happened to be dropped
    if not np.allclose(outputs[0], factor * calm):
        hint = "a mask that is drawn once, and kept"
        fail("what is drawn in training must be drawn anew in each forward", "y", hint=hint)


def _check_mean(subject: LayerUnderTest) -> None:
    """Check that noise which eval mode leaves out does not make outputs larger or smaller on average."""
    layer, x = subject.fresh(), subject.draw("positive")
    calm = subject.fresh().eval()(x.copy())
    if subject.inputs is not None or calm.shape != x.shape or not np.allclose(calm * x.sum(), x * calm.sum()):
        return  # only where eval mode multiplies by a number, as for a dropout
    sizes = np.array([layer(x.copy()).sum() for _ in range(MANY)]) / calm.sum()
    if sizes.std() > 1e-9 and abs(sizes.mean() - 1) > 1e-3 + 6 * sizes.std() / math.sqrt(MANY):
        hint = "what is kept must be scaled by 1 / (1 - rate), in training"
        what = "outputs in training must on average be as large as those in eval mode"
        fail(what, "y", hint=hint, got=f"{sizes.mean():.3g} times as large")


def _check_agreement(subject: LayerUnderTest) -> None:
    """Check that both modes compute the same, once running statistics have arrived at the batch's."""
    layer = subject.fresh()
    averages = [p for p in layer.parameters() if not p.trainable]
    if not averages:
        x, hint = subject.draw(), "something that only one of the modes does"
        trained, calm = layer(x.copy()), layer.eval()(x.copy())
        require_equal(calm, trained, "train and eval mode must compute the same", "y", hint)
        return
    x = subject.draw(examples=64)
    x = x if subject.inputs else 1.0 + 3.0 * x
    values = [[p.value.copy() for p in averages]]
    for _ in range(2):
        trained = layer(x.copy())
        values.append([p.value.copy() for p in averages])
    for p, first, second, third in zip(averages, *values, strict=True):
        # An exponential average goes the same fraction of the rest of its way at each step.
        step, left = second - first, (third - second) / np.where(second == first, 1.0, second - first)
        p.value = np.where(np.abs(1 - left) < 1e-6, third, first + step / (1 - left))
    calm = layer.eval()(x.copy())
    # Running variances may be the unbiased ones, which with this batch makes less than 2 %.
    if not np.linalg.norm(calm - trained) <= 0.05 * np.linalg.norm(trained):
        what = "where running statistics are those of the batch, eval mode must give what training gave"
        hint = "statistics that do not move, or are used otherwise in eval: a missing root, mean or variance"
        fail(what, "y", hint=hint, got=float(np.linalg.norm(calm)), expected=float(np.linalg.norm(trained)))


def check_determinism(subject: LayerUnderTest) -> None:
    """Check that the same rng gives the same numbers, and NumPy's global stream is left alone."""
    x, dy = subject.draw(), subject.draw_dy()
    state: Any = np.random.get_state()  # noqa: NPY002
    try:
        results = []
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002 - a layer that reads the global stream shows
            before: Any = np.random.get_state()  # noqa: NPY002
            layer = subject.build().train()
            weights = {f"weight {name!r}": p.value.copy() for name, p in layer.named_parameters()}
            results.append({**weights, **run(layer, x, dy).arrays()})
            after: Any = np.random.get_state()  # noqa: NPY002
            if before[2] != after[2] or not np.array_equal(before[1], after[1]):
                hint = "np.random.normal and the like: use the generator that init_params gets"
                fail("randomness must come from the rng of build, not from np.random", hint=hint)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    hint = "default_rng() without a seed, the order of a set, memory that was never filled"
    message = "the same rng and input must give the same numbers"
    require_all_equal(results[1], results[0], message, hint, rtol=SAME)


def check_examples(subject: LayerUnderTest) -> None:
    """Check that examples do not see each other: two interleaved shards give what the whole batch gives.

    In training mode, layers that draw numbers, or say that they mix examples, are excused; in eval mode none
    is. Layers whose forward changes weights (running statistics) must say so too.
    """
    n = 2 * subject.batch_size
    x, dy = subject.draw(examples=n), subject.draw_dy(examples=n)
    hint = "a mean, a maximum or a reshape over the axis of examples"
    layer = subject.fresh().eval()
    require_equal(_by_shards(layer, x), layer(x), "in eval mode examples must be independent", "y", hint)
    for shift in (FAR, -FAR) if subject.inputs is None else ():
        far = x.copy()
        far[0] += shift
        message = "an example of huge values must not disturb the others"
        require_equal(layer(far)[1:], layer(x)[1:], message, "y", hint)
        overflow = "exp of a large number, then inf / inf: subtract the row's maximum, or take exp(-abs(x))"
        for name, array in {"y": layer(far[:1]), **run(subject.fresh(), far[:1], dy[:1]).arrays()}.items():
            if np.isnan(array).any():
                fail(f"inputs of {shift:g} must not give NaN", name, hint=overflow)
        if np.isnan(subject.fresh(np.float32)(far[:1].astype(np.float32))).any():
            cancelled = "an overflow, or a difference of large squares as mean(x**2) - mean(x)**2"
            fail(f"inputs of {shift:g} must not give NaN, in float32 too", "y", hint=cancelled)
    mixing = any(each.batch_dependent for each in (layer, *(held for _, held in layer.named_layers())))
    if mixing:
        return
    layer = subject.fresh()
    before = layer.get_weights()
    layer(x.copy())
    for (name, p), old in zip(layer.named_parameters(), before, strict=True):
        if not p.trainable and not np.array_equal(p.value, old):
            what = "a layer whose forward changes weights in training must have `batch_dependent = True`"
            fail(what, name, hint="on several cores each shard of a batch would move the running averages")
    if subject.random:
        return
    whole = run(subject.fresh(), x, dy)
    shards = [run(subject.fresh(), x[i::2], dy[i::2]) for i in (0, 1)]
    message = "{} of two interleaved shards must {} that of the whole batch"
    for name, expected in whole.arrays().items():
        parts = [shard.arrays()[name] for shard in shards]
        if name in ("y", "dx"):
            got, verb = np.stack(parts, axis=1).reshape(expected.shape), "be"
        else:
            got, verb = parts[0] + parts[1], "add up to"
            hint = "a mean over the batch: the loss has it already, gradients of weights are sums"
        require_equal(got, expected, message.format(name, verb), name, hint)


def _by_shards(layer: Layer, x: np.ndarray) -> np.ndarray:
    parts = [layer(x[i::2].copy()) for i in (0, 1)]
    return np.stack(parts, axis=1).reshape(len(x), *parts[0].shape[1:])
