"""The three checks of gradients: at generic points, where values are tied, and at exact zeros."""

from __future__ import annotations

import math

import numpy as np

from minicnn.testing.finite_differences import Point, Verdict, directions
from minicnn.testing.layer_under_test import INPUT, LayerUnderTest, Run, gradient_name, run
from minicnn.testing.locate import locate
from minicnn.testing.report import CheckFailed, Failure, fail

ATTEMPTS = 5  # points that are tried where kinks lie in the way
# Kind of inputs, and whether directions are sparse.
POINTS = (
    ("normal", False),
    ("normal", True),
    ("negative", False),
    ("positive", True),
    ("wide", False),
    ("small", False),
)
MANY = 2048  # values, where a narrow range of them may be the wrong one


def check_gradients(subject: LayerUnderTest) -> None:
    """Check that dx and every weight's gradient equal central differences of the output."""
    for kind, sparse in POINTS:
        n = _examples(kind, subject)
        verdicts: dict[str, list[Verdict]] = {}
        for _ in range(ATTEMPTS):
            point = Point(subject.fresh(), subject.draw(kind, n), subject.draw_dy(n))
            for name in verdicts or dict.fromkeys(point.values):
                verdicts.setdefault(name, []).append(_judge(point, name, sparse, subject))
            verdicts = {name: found for name, found in verdicts.items() if found[-1] is not Verdict.RIGHT}
            if not verdicts:
                break
        for name, found in verdicts.items():
            if Verdict.KINK not in found:
                failure = locate(point, name, subject.rng)
                what = "the output is not smooth, and the gradient is no slope of it, at five points of five"
                raise CheckFailed(failure or Failure("", what, gradient_name(name)))


def _examples(kind: str, subject: LayerUnderTest) -> int:
    """Return how many examples to try: batches differ in size, so that no gradient can count on it."""
    n = subject.batch_size
    many = max(n + 4, MANY // math.prod(subject.input_shape))
    return {"normal": n, "negative": n + 2, "positive": 1}.get(kind, many)


def _judge(point: Point, name: str, sparse: bool, subject: LayerUnderTest) -> Verdict:
    verdict = point.judge(name, directions(point.values[name], subject.rng, sparse))
    if verdict is Verdict.WRONG:
        failure = locate(point, name, subject.rng)
        if failure is not None:
            raise CheckFailed(failure)
    return verdict


def check_ties(subject: LayerUnderTest) -> None:
    """Check that where inputs are tied, and move together, the gradient says how the output moves.

    Along such a direction even a maximum is smooth: whoever of the tied inputs gets the gradient, in sum
    it must be the whole of it, once. So there is no excuse in the kink. Only a layer that declares
    `ties = "all"`, the textbook's rule, has asked for something else.
    """
    layers = (subject.built, *(layer for _, layer in subject.built.named_layers()))
    if any(getattr(layer, "ties", None) == "all" for layer in layers):
        return
    rng = subject.rng
    for _ in range(4):
        x, levels = _tied(subject)
        point = Point(subject.fresh(), x, subject.draw_dy())
        d = rng.standard_normal(levels.max() + 1)[levels]
        if point.judge(INPUT, d) in (Verdict.WRONG, Verdict.OUTSIDE):
            analytic, numeric, _ = point.slope(INPUT, d)
            fail(
                "where inputs are equal and move together, the gradients of all must add up to the output's",
                "dx",
                hint="every tied maximum gets the whole gradient; together they may get it once",
                analytic=analytic,
                numeric=numeric,
            )


def _tied(subject: LayerUnderTest) -> tuple[np.ndarray, np.ndarray]:
    """Return a batch of few different values in constant regions, and for each value its number.

    None of the values is zero: the kink of a ReLU is another matter.
    """
    rng, shape = subject.rng, (subject.batch_size, *subject.input_shape)
    values = rng.uniform(0.3, 2.0, 6) * np.array([-1, -1, -1, 1, 1, 1])
    if subject.inputs is not None:
        values = subject.draw().ravel()[:6]
    coarse = tuple(-(-n // 3) for n in shape[1:-1])
    levels = rng.integers(values.size, size=(shape[0], *coarse, shape[-1]))
    for axis, size in enumerate(shape[1:-1], start=1):
        levels = np.repeat(levels, 3, axis=axis).take(range(size), axis=axis)
    return values[levels], levels


def check_kinks(subject: LayerUnderTest) -> None:
    """Check that at zeros and in uniform inputs all is finite, and beside a zero the gradient is a slope."""
    if subject.inputs is not None:
        return
    for level in (0.0, 0.5):
        x = np.full((subject.batch_size, *subject.input_shape), level)
        _require_finite(run(subject.fresh(), x, subject.draw_dy()), f"all inputs are {level:g}")
    for kind in ("normal", "negative", "positive"):
        x = subject.draw(kind)
        # One zero an image and channel: two would be tied, and together no longer a matter of one slope.
        rows = x.reshape(len(x), -1, x.shape[-1]) if x.ndim > 2 else x[..., None]
        if rows.shape[1] < 2:
            return
        for example, channel in np.ndindex(rows.shape[0], rows.shape[2]):
            rows[example, subject.rng.integers(rows.shape[1]), channel] = 0.0
        point = Point(subject.fresh(), x, subject.draw_dy())
        _require_finite(point.ran, "an input is zero")
        for index in map(tuple, subject.rng.permutation(np.argwhere(x == 0))[:4].tolist()):
            d = np.zeros(x.shape)
            d[index] = 1.0
            if not point.between(INPUT, d)[0]:
                analytic, mean, _ = point.slope(INPUT, d)
                what = "where an input is zero, the gradient must lie between the slopes to both sides"
                hint = "two branches that both count x = 0, or neither"
                fail(what, "dx", index, hint, **{"analytic": analytic, "mean slope": mean})


def _require_finite(ran: Run, where: str) -> None:
    for name, array in ran.arrays().items():
        if not np.isfinite(array).all():
            hint = "0 / 0: divide by something that is never 0, such as sqrt(variance + eps)"
            fail(f"where {where}, results must be finite", name, hint=hint)
