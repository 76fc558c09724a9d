"""The three gradient checks: at generic points, with tied inputs, and at exact zeros."""

import math
from collections.abc import Sequence

import numpy as np

from minicnn.testing.finite_differences import Comparison, EvaluationPoint, random_direction
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.locate import locate
from minicnn.testing.oblong import check_oblong
from minicnn.testing.passes import INPUT, Run, gradient_name, run
from minicnn.testing.report import CheckFailed, Failure, fail_check
from minicnn.testing.surrogates import has_surrogate_gradient

ATTEMPTS = 5  # number of points that are tried where steps cross kinks
# Kind of the inputs, and whether directions are sparse.
INPUT_KINDS = (
    ("normal", False),
    ("normal", True),
    ("negative", False),
    ("positive", True),
    ("wide", False),
    ("small", False),
    ("tens", False),
    ("hundreds", False),
)
FULL_SIZE = 2  # number of kinds that a heavy layer gets at full size
LARGE_BATCH = 2048  # number of values that brings a bug in a narrow range of inputs to light


def check_gradients(target: LayerUnderTest) -> None:
    """Check that dx and the gradient of every weight equal central differences of the output.

    For a heavy layer, the first kinds of inputs have the full size, and the others are smaller.
    """
    _check_kinds(target, INPUT_KINDS[:FULL_SIZE])
    smaller = target.smaller
    if smaller is not target:
        smaller.start(target.check)
    try:
        _check_kinds(smaller, INPUT_KINDS[FULL_SIZE:])
    except CheckFailed as failed:
        failed.failure.drawn = smaller.drawn
        raise
    check_oblong(smaller)


def _check_kinds(target: LayerUnderTest, kinds: Sequence[tuple[str, bool]]) -> None:
    for kind, sparse in kinds:
        if kind in ("tens", "hundreds") and target.inputs is not None:
            continue
        n = _batch_size(kind, target)
        results: dict[str, list[Comparison]] = {}
        for _ in range(ATTEMPTS):
            point = EvaluationPoint.of(target, target.draw(kind, n), target.draw_dy(n))
            if kind in ("tens", "hundreds") and not point.finite:
                break  # left to the check "finite"
            if not results and (kind, sparse) != INPUT_KINDS[0] and _agrees(point, sparse, target):
                break
            for name in results or dict.fromkeys(point.values):
                try:
                    results.setdefault(name, []).append(_compare(point, name, sparse, target))
                except CheckFailed as failed:
                    _blame_the_batch(point, name, failed.failure, target)
                    raise
            results = {name: found for name, found in results.items() if not _is_settled(kind, found)}
            if not results:
                break
        for name, found in results.items():
            if Comparison.KINK not in found:
                failure = locate(point, name, target.rng)
                what = (
                    f"the output is not differentiable at {ATTEMPTS} of {ATTEMPTS} points, and the gradient "
                    "is not between the one-sided derivatives"
                )
                raise CheckFailed(failure or Failure("", what, gradient_name(name)))


def _is_settled(kind: str, found: list[Comparison]) -> bool:
    """Return whether no other point need be tried: of large values, few where nothing speaks against it."""
    tried = kind in ("tens", "hundreds") and len(found) > 1 and Comparison.KINK in found
    return tried or found[-1] is Comparison.MATCH


def _blame_the_batch(point: EvaluationPoint, name: str, failure: Failure, target: LayerUnderTest) -> None:
    """Add to a failure that the same examples are right in batches of another size, if they are."""
    x, dy = point.values[INPUT], point.dy
    n = len(x)
    if target.random or target.batch_dependent:
        return

    def fails(x: np.ndarray, dy: np.ndarray) -> bool:
        part = EvaluationPoint.of(target, x, dy)
        directions = [random_direction(part.values[name], target.rng, False) for _ in range(2)]
        return any(part.compare({name: d}) is not Comparison.MATCH for d in directions)

    if n == 1:
        if not fails(np.concatenate([x, x]), np.concatenate([dy, dy])):
            failure.facts["only"] = "in a batch of one example"
            failure.hint = "an operation that treats a batch of one differently, such as `squeeze`"
        return
    for m in (1024, 512, 256, 128, 64, 32, 16, 8, 4, 2):
        if m < n and not any(fails(x[i : i + m], dy[i : i + m]) for i in range(0, n, m)):
            failure.facts["only"] = f"in batches above {m} examples"
            failure.hint = "another path, a limit or a buffer for large batches"
            return


def _batch_size(kind: str, target: LayerUnderTest) -> int:
    """Return the batch size for a kind of inputs: it varies, so that no gradient can rely on it."""
    n = target.batch_size
    large = max(n + 1, LARGE_BATCH // math.prod(target.input_shape))
    few = max(n + 1, LARGE_BATCH // 8 // math.prod(target.input_shape))
    return {
        "tens": few,
        "hundreds": few,
        "normal": n,
        "negative": n + 2,
        "positive": target.smallest_batch,
    }.get(kind, large)


def _agrees(point: EvaluationPoint, sparse: bool, target: LayerUnderTest) -> bool:
    """Return whether all gradients together agree along one direction in all arrays at once.

    That costs two forwards whatever the number of weights; each array by itself is compared if it fails, and
    for the first kind of inputs.
    """
    names = [name for name in point.values if name != INPUT or not has_surrogate_gradient(target)]
    if len(names) < 2:
        return False
    return point.agrees({name: random_direction(point.values[name], target.rng, sparse) for name in names})


def _compare(point: EvaluationPoint, name: str, sparse: bool, target: LayerUnderTest) -> Comparison:
    if name == INPUT and has_surrogate_gradient(target):
        return Comparison.MATCH
    comparison = point.compare({name: random_direction(point.values[name], target.rng, sparse)})
    if comparison is not Comparison.MATCH and name != INPUT and has_surrogate_gradient(target, name):
        return Comparison.MATCH
    if comparison is Comparison.MISMATCH:
        failure = locate(point, name, target.rng)
        if failure is not None:
            raise CheckFailed(failure)
    return comparison


def check_ties(target: LayerUnderTest) -> None:
    """Check that the gradients of tied inputs add up to the derivative along their common direction.

    Even a maximum is smooth while tied inputs move together. Whichever of them gets the gradient, the sum
    must be the whole gradient exactly once, so no kink excuses a difference. A layer that declares
    `ties = "all"`, the textbook's rule, is not checked.
    """
    layers = (target.built, *(layer for _, layer in target.built.named_layers()))
    if any(getattr(layer, "ties", None) == "all" for layer in layers) or has_surrogate_gradient(target):
        return
    rng = target.rng
    for _ in range(2 if target.heavy else 4):
        x, levels = _tied_inputs(target)
        point = EvaluationPoint.of(target, x, target.draw_dy())
        _require_finite(point.run, "inputs are tied")
        d = rng.standard_normal(levels.max() + 1)[levels]
        if point.compare({INPUT: d}) in (Comparison.MISMATCH, Comparison.OUTSIDE):
            analytic, numeric, _ = point.directional_derivatives({INPUT: d})
            hint = "every tied maximum gets the whole gradient; all of them together must get it once"
            positive = EvaluationPoint.of(target, x, np.abs(target.draw_dy()))
            got, needed, _ = positive.directional_derivatives({INPUT: np.ones(x.shape)})
            if abs(got) < abs(needed):
                hint = "tied maxima get no gradient, or a part of it; all of them together must get it once"
            fail_check(
                "the gradients of tied inputs do not add up to the derivative along their common direction",
                "dx",
                hint=hint,
                analytic=analytic,
                numeric=numeric,
            )


def _tied_inputs(target: LayerUnderTest) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of constant regions with few distinct values, and the number of each value.

    None of the values is zero, to stay away from the kink of a ReLU.
    """
    rng, shape = target.rng, (target.batch_size, *target.input_shape)
    values = rng.uniform(0.3, 2.0, 6) * np.array([-1, -1, -1, 1, 1, 1])
    if target.inputs is not None:
        values = target.draw().ravel()[:6]
    coarse = tuple(-(-n // 3) for n in shape[1:-1])
    levels = rng.integers(values.size, size=(shape[0], *coarse, shape[-1]))
    for axis, size in enumerate(shape[1:-1], start=1):
        levels = np.repeat(levels, 3, axis=axis).take(range(size), axis=axis)
    return values[levels], levels


def check_kinks(target: LayerUnderTest) -> None:
    """Check that constant inputs give finite results, and gradients at zeros are one-sided or in between."""
    if target.inputs is not None:
        return
    for level in (0.0, 0.5):
        x = np.full((target.batch_size, *target.input_shape), level)
        _require_finite(run(target.fresh(), x, target.draw_dy()), f"all inputs are {level:g}")
    examples = target.batch_size + 1
    for kind in ("normal", "negative", "positive"):
        x = target.draw(kind, examples)
        if math.prod(x.shape[1:]) < 2 or has_surrogate_gradient(target):
            return
        rows = x.reshape(examples, -1)
        rows[np.arange(examples), target.rng.integers(rows.shape[1], size=examples)] = (
            0.0  # two would be tied
        )
        point = EvaluationPoint.of(target, x, target.draw_dy(examples))
        _require_finite(point.run, "an input is zero")
        for index in map(tuple, np.argwhere(x == 0).tolist()):
            d = np.zeros(x.shape)
            d[index] = 1.0
            place = point
            if target.independent:
                place, d = point.of_example(index[0]), d[index[0] : index[0] + 1]
            if not place.between_one_sided({INPUT: d})[0] and not _jumps(place, d):
                analytic, mean, _ = place.directional_derivatives({INPUT: d})
                what = "where an input is zero, the gradient is not between the one-sided derivatives"
                hint = "two branches that both include x = 0, or neither of which does"
                fail_check(what, "dx", index, hint, analytic=analytic, numeric=mean)


def _jumps(point: EvaluationPoint, d: np.ndarray) -> bool:
    """Return whether the output jumps, or has a slope without bound: no derivative is right there."""
    far, near = (
        [np.abs(point.shifted_output({INPUT: d}, sign * h) - point.y).max() / h for sign in (1, -1)]
        for h in (2.0**-16, 2.0**-28)
    )
    return any(n > 16 * f for n, f in zip(near, far, strict=True))


def _require_finite(results: Run, where: str) -> None:
    for name, array in results.arrays().items():
        if not np.isfinite(array).all():
            hint = "0 / 0: divide by something that is never 0, such as sqrt(variance + eps)"
            fail_check(f"{name} is not finite where {where}", name, hint=hint)
