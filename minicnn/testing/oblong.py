"""Gradients on images that are not square, where rows and columns cannot be taken for each other."""

from collections.abc import Iterator
from typing import Any

from minicnn.testing.finite_differences import Comparison, EvaluationPoint, random_direction
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.locate import locate
from minicnn.testing.report import CheckFailed, fail_check

_ONLY = "in inputs that are not square, such as {}"
_HINT = "rows and columns are exchanged, or the size of one of them is used for both"


def check_oblong(target: LayerUnderTest) -> None:
    """Check the gradients of a layer of square inputs on inputs twice as wide, if it runs on them."""
    if target.heavy or target.inputs is not None:
        return
    for shape in oblong_shapes(target.input_shape):
        other = LayerUnderTest(
            target.layer, shape, target.seed, target.given_batch_size, layout=target.layout
        )
        other.start(target.check)
        other.of_shape = f" of shape {shape}"
        try:
            if [p.shape for p in other.built.parameters()] != [p.shape for p in target.built.parameters()]:
                continue
            x, dy = other.draw(), other.draw_dy()
            point = EvaluationPoint.of(other, x, dy)
        except Exception:
            continue  # a layer for one size, which says so
        if point.y.shape != dy.shape:
            continue
        where: dict[str, Any] = {"only": _ONLY.format(shape)}
        if point.run.dx.shape != x.shape:
            where |= {"got": point.run.dx.shape, "expected": x.shape}
            fail_check("dx does not have the shape of x", "dx", hint=_HINT, **where)
        for name in point.values:
            if target.surrogates.get(name):
                continue
            direction = random_direction(point.values[name], other.rng, False)
            if point.compare({name: direction}) is Comparison.MISMATCH:
                failure = locate(point, name, other.rng)
                if failure is not None:
                    failure.facts.update(where)
                    failure.hint, failure.drawn = _HINT, other.drawn
                    raise CheckFailed(failure)


def oblong_shapes(shape: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """Yield the shapes of square images, in either layout, or sequences, twice as long along one axis.

    >>> list(oblong_shapes((4, 4, 3))), list(oblong_shapes((3, 4, 4))), list(oblong_shapes((4, 3)))
    ([(4, 8, 3)], [(3, 4, 8)], [])
    """
    if len(shape) == 2 and shape[0] == shape[1]:
        yield (2 * shape[0], shape[1])
    if len(shape) == 3 and shape[0] == shape[1]:
        yield (shape[0], 2 * shape[1], shape[2])
    if len(shape) == 3 and shape[1] == shape[2]:
        yield (shape[0], shape[1], 2 * shape[2])
