"""Independence of results: from the mode, from earlier calls, from the global random stream."""

import copy
import math
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.adapters.adapted import Adapted
from minicnn.testing.layer_under_test import LayerUnderTest, generators_of
from minicnn.testing.noise import check_noise
from minicnn.testing.passes import run
from minicnn.testing.report import SAME, fail_check, require_all_equal, require_equal
from minicnn.testing.statistics import averages_fit_each_example, mixed_examples
from minicnn.testing.unwritten import require_all_written

_LARGE = 8.0  # scale of an example whose variance must not be near 1 in few values
TINY = 1e-5  # scale of inputs whose variance, 1e-9, is below the usual epsilons


def check_modes(target: LayerUnderTest) -> None:
    """Check that eval mode is deterministic, changes no weight, and agrees with training mode."""
    x = target.draw()
    layer = target.fresh()
    layer(target.draw())  # updates running averages, and advances a random stream
    layer.eval()
    before = layer.get_weights()
    first = layer(x.copy())
    layer(target.draw())
    second = layer(x.copy())
    names = [name for name, _ in layer.named_parameters()]
    for name, old, new in zip(names, before, layer.get_weights(), strict=True):
        hint = "update running averages in training mode only"
        require_equal(new, old, "a forward in eval mode changes a weight", name, hint, rtol=0.0)
    hint = "something is dropped or drawn without asking `self.training`"
    if not generators_of(layer):
        hint = "what an earlier forward left in an attribute: a state, a cache of outputs, a running value"
    require_equal(second, first, "in eval mode, equal inputs give different outputs", "y", hint, SAME)
    given = x.copy()
    views = isinstance(target.layer, Adapted)  # the check of aliasing remarks on them
    if (np.may_share_memory(layer(given), given) and not views) or np.may_share_memory(first, second):
        hint = "`return x`, or a buffer that the layer reuses; return a copy"
        fail_check("in eval mode, y shares memory with x or with an earlier y", "y", hint=hint)
    hint = "an in-place operation on x; work on a copy"
    require_equal(given, x, "in eval mode, forward writes into x", "x", hint, rtol=0.0)
    if target.random:
        check_noise(target)
    else:
        _check_agreement(target)


def _check_agreement(target: LayerUnderTest) -> None:
    """Check that both modes compute the same once running statistics have converged to those of the batch."""
    if not target.has_statistics:
        layer = target.fresh()
        x = target.draw()
        trained, in_eval = layer(x.copy()).copy(), layer.eval()(x.copy())
        if np.array_equal(trained, in_eval):
            return
        if _only_mixes(target):
            target.remark("training mode mixes the examples of a batch, and eval mode does not")
            return
        hint = _difference_of_modes(target, trained, in_eval)
        require_equal(in_eval, trained, "training and eval mode give different outputs", "y", hint)
        return
    x = target.draw(examples=64)
    x = x if target.inputs else 1.0 + 3.0 * x
    mixed = mixed_examples(target)
    if mixed == "some":
        x[:] = x[:1]  # statistics of parts are those of all if examples are equal
    layer = target.fresh()
    if _agrees_at_the_limit(layer, x):
        if target.inputs is None:
            _check_tiny_variance(target, TINY * x)
        return
    hint = "running statistics are not updated, no Parameters, or used differently: without root or mean"
    one = x[:1] if target.inputs else _LARGE * x[:1]  # where no root is near its square
    if mixed == "none" and _agrees_at_the_limit(target.fresh(), one.repeat(len(x), axis=0), target):
        if averages_fit_each_example(target):
            target.remark(
                "statistics of each example in training mode, and their running averages in eval mode: right "
                "for an instance normalization, wrong for a batch normalization"
            )
            return
        hint = "statistics of each example in training mode, and running ones of the whole batch in eval mode"
    trained = copy.deepcopy(layer)(x.copy())
    in_eval = layer.eval()(x.copy())
    what = "eval mode gives another output than training mode, with the running statistics of the batch"
    facts: dict[str, Any] = {
        "eval norm": float(np.linalg.norm(in_eval)),
        "train norm": float(np.linalg.norm(trained)),
    }
    fail_check(what, "y", hint=hint, **facts)


def _agrees_at_the_limit(
    layer: Layer, x: np.ndarray, of_each: LayerUnderTest | None = None, centred: bool = False
) -> bool:
    """Let the running averages converge to those of `x`; return whether the modes agree then.

    With a target in `of_each`, averages are those of single examples, whose unbiased variance is larger.
    Outputs that are `centred` are compared without their means over the batch.
    """
    averages = [p for p in layer.parameters() if not p.trainable]
    values = [[p.value.copy() for p in averages]]
    tolerance = 0.05
    if of_each is not None:
        shape = of_each.input_shape  # the longest axis may be that of the channels
        values_of_each = math.prod(shape) // (max(shape) if len(shape) > 1 else 1)
        tolerance += 0.5 / max(values_of_each - 1, 1)
    for _ in range(2):
        trained = layer(x.copy())
        values.append([p.value.copy() for p in averages])
        # Averages with a bias correction, and those of all batches, are exact at once.
        if _agrees(layer, x, trained, tolerance, centred):
            return True
    for p, first, second, third in zip(averages, *values, strict=True):
        # The distance of an exponential average from its limit shrinks by the same factor in each step.
        step, factor = second - first, (third - second) / np.where(second == first, 1.0, second - first)
        p.value = np.where(np.abs(1 - factor) < 1e-6, third, first + step / (1 - factor))
    return _agrees(layer, x, trained, tolerance, centred)


def _check_tiny_variance(target: LayerUnderTest, x: np.ndarray) -> None:
    """Check that the modes agree where variances are far below the usual epsilon, as of a dead feature."""
    layer = target.fresh()
    if _agrees_at_the_limit(layer, x, centred=True):
        return
    trained, in_eval = copy.deepcopy(layer)(x.copy()), layer.eval()(x.copy())
    target.drawn = f"nearly constant (of a scale of {TINY:g}), batch of {len(x)}"
    what = "eval mode gives another output than training mode where inputs hardly vary"
    hint = "epsilon is another one in eval mode, outside of the root, or missing: a dead feature becomes huge"
    facts: dict[str, Any] = {"eval std": float(np.std(in_eval)), "train std": float(np.std(trained))}
    fail_check(what, "y", hint=hint, **facts)


def _only_mixes(target: LayerUnderTest) -> bool:
    """Return whether the modes agree where all examples are equal: training mode mixes them, as in mixup."""
    x = target.draw()
    x[:] = x[:1]
    return target.batch_dependent and np.allclose(target.fresh()(x.copy()), target.fresh().eval()(x.copy()))


def _difference_of_modes(target: LayerUnderTest, trained: np.ndarray, in_eval: np.ndarray) -> str:
    """Return the usual cause of outputs that differ in a layer that is not random."""
    dropped = trained == 0
    if dropped.any() and not dropped.all() and np.ptp((trained / in_eval)[~dropped]) < 1e-6:
        return "a mask that is drawn once, or from the same seed each time"
    x = target.draw()
    added = target.fresh()(x.copy()) - target.fresh().eval()(x.copy())
    if np.ptp(added) > 1e-6 and np.allclose(added, trained - in_eval, rtol=1e-6, atol=1e-9):
        return "noise that is drawn once, or from the same seed each time"
    return "an operation that only one of the modes does"


def _agrees(layer: Layer, x: np.ndarray, trained: np.ndarray, tolerance: float, centred: bool) -> bool:
    in_eval, slack = copy.deepcopy(layer).eval()(x.copy()), 0.0
    if centred:
        slack = 1e-9 * float(np.linalg.norm(trained))
        trained, in_eval = trained - trained.mean(axis=0), in_eval - in_eval.mean(axis=0)
    # Running variances may be unbiased, a difference of less than 2 % for a batch of 64 examples.
    return bool(np.linalg.norm(in_eval - trained) <= tolerance * np.linalg.norm(trained) + slack)


def check_determinism(target: LayerUnderTest) -> None:
    """Check that equal seeds give equal numbers, not from a global random stream or unwritten memory."""
    x, dy = target.draw(), target.draw_dy()
    state: Any = np.random.get_state()  # noqa: NPY002
    try:
        results = []
        for seed in (1, 2):
            np.random.seed(seed)  # noqa: NPY002 - reveals a layer that reads the global stream
            before: Any = np.random.get_state()  # noqa: NPY002
            layer = target.build().train()
            weights = {f"weight {name!r}": p.value.copy() for name, p in layer.named_parameters()}
            results.append({**weights, **run(layer, x, dy).arrays()})
            after: Any = np.random.get_state()  # noqa: NPY002
            if before[2] != after[2] or not np.array_equal(before[1], after[1]):
                hint = "np.random.normal and the like; use the generator that init_params gets"
                fail_check("the layer draws from NumPy's global random stream", hint=hint)
    finally:
        np.random.set_state(state)  # noqa: NPY002
    if isinstance(target.built, Adapted) and target.built.global_draws.found:
        target.remark(
            "the code draws from NumPy's global random stream, as whatever else runs in the process"
        )
    hint = "default_rng() without a seed, the order of a set, uninitialised memory"
    message = "the same seed and input give different numbers"
    require_all_equal(results[1], results[0], message, hint, rtol=SAME)
    require_all_written(target)
