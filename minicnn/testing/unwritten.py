"""Memory that is allocated but not written: whatever was there before becomes a result."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any

import numpy as np

from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.passes import run
from minicnn.testing.report import SAME, note, require_all_equal

FILLS = (3, 77)  # two contents of memory that was not written
ALLOCATORS = ("empty", "empty_like")
# Those that people call with `where`, since they are not defined everywhere.
UFUNCS = (
    "divide",
    "true_divide",
    "reciprocal",
    "power",
    "float_power",
    "sqrt",
    "log",
    "log1p",
    "log2",
    "log10",
)
_PATCHING = Lock()  # NumPy's names are global


def require_all_written(target: LayerUnderTest) -> None:
    """Require equal results whatever was in memory before, also where inputs and whole examples are zero."""
    if target.inputs is not None:
        return  # zeros may be invalid
    x, dy = target.draw(), target.draw_dy()
    x[0] = 0.0
    x.reshape(len(x), -1)[1:, :: max(x[0].size // 2, 2)] = 0.0
    target.drawn = f"normal and zeros, batch of {len(x)}{target.of_shape}"
    note("the same with zeros, where memory is full of {} and of {} before", *FILLS)
    results = []
    for fill in FILLS:
        layer = target.fresh()
        with _memory_full_of(fill):
            results.append(run(layer, x, dy).arrays())
    what = "results depend on what was in memory before"
    hint = "elements of np.empty that nothing writes, or a ufunc with `where` but without `out`"
    require_all_equal(results[1], results[0], what, hint, rtol=SAME)


@contextmanager
def _memory_full_of(fill: int) -> Iterator[None]:
    """Let NumPy return arrays full of a number where their elements are not written."""
    with _PATCHING:
        kept = {name: getattr(np, name) for name in (*ALLOCATORS, *UFUNCS)}
        try:
            for name in ALLOCATORS:
                setattr(np, name, partial(_allocate, kept[name], fill))
            for name in UFUNCS:
                setattr(np, name, _Ufunc(kept[name], fill))
            yield
        finally:
            for name, function in kept.items():
                setattr(np, name, function)


def _allocate(allocate: Callable[..., np.ndarray], fill: int, *args: Any, **kwargs: Any) -> np.ndarray:
    array = allocate(*args, **kwargs)
    if array.dtype.kind in "iufc":
        array[...] = fill
    return array


class _Ufunc:
    """A ufunc that writes a number where `where` is False and no `out` is given."""

    def __init__(self, ufunc: np.ufunc, fill: int) -> None:
        self.ufunc, self.fill = ufunc, fill

    def __getattr__(self, name: str) -> Any:
        return getattr(self.ufunc, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        result = self.ufunc(*args, **kwargs)
        if "where" in kwargs and kwargs.get("out") is None and len(args) == self.ufunc.nin:
            np.copyto(result, self.fill, where=np.logical_not(kwargs["where"]))
        return result
