"""Drawn geometries for the tests of `ops`: shapes shrink, values come from a seed."""

from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import strategies as st

from minicnn.ops.padding import resolve_padding


@contextmanager
def memory_full_of_nan():
    """Let `np.empty` and `np.empty_like` return NaN, so that what nobody writes is not zero by chance."""

    def filled(make):
        def make_and_fill(*args, **options):
            array = make(*args, **options)
            if array.dtype.kind == "f":
                array.fill(np.nan)
            return array

        return make_and_fill

    with pytest.MonkeyPatch.context() as patch:
        for name in ("empty", "empty_like"):
            patch.setattr(np, name, filled(getattr(np, name)))
        yield


@dataclass(frozen=True)
class ConvCase:
    shape: tuple
    kernel_shape: tuple
    strides: tuple
    padding: object
    dilation: tuple
    groups: int
    seed: int

    @property
    def span(self):
        return tuple((k - 1) * d + 1 for k, d in zip(self.kernel_shape[:2], self.dilation, strict=True))

    @property
    def pads(self):
        return resolve_padding(self.padding, self.shape[1:3], self.span, self.strides)

    @property
    def geometry(self):
        return self.strides, self.padding, self.dilation, self.groups

    def arrays(self, dtype=np.float64):
        rng = np.random.default_rng(self.seed)
        return [
            rng.standard_normal(shape).astype(dtype)
            for shape in (self.shape, self.kernel_shape, self.kernel_shape[3:])
        ]


@st.composite
def conv_cases(draw, max_stride=3, max_dilation=3, max_groups=3):
    kernel = (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    dilation = (draw(st.integers(1, max_dilation)), draw(st.integers(1, max_dilation)))
    strides = (draw(st.integers(1, max_stride)), draw(st.integers(1, max_stride)))
    groups = draw(st.integers(1, max_groups))
    c, f = groups * draw(st.integers(1, 3)), groups * draw(st.integers(1, 3))
    pad = st.integers(0, 3)
    padding = draw(st.one_of(st.sampled_from(["valid", "same"]), st.tuples(*[st.tuples(pad, pad)] * 2)))
    sides = []
    for axis in range(2):
        span = (kernel[axis] - 1) * dilation[axis] + 1
        given_pads = 0 if isinstance(padding, str) else sum(padding[axis])
        least = 1 if padding == "same" else max(1, span - given_pads)
        sides.append(draw(st.integers(least, least + 7)))
    return ConvCase(
        (draw(st.integers(1, 3)), *sides, c),
        (*kernel, c // groups, f),
        strides,
        padding,
        dilation,
        groups,
        draw(st.integers(0, 2**16)),
    )


@dataclass(frozen=True)
class PoolCase:
    shape: tuple
    window: tuple
    strides: tuple
    padding: object
    seed: int
    tied: bool

    @property
    def pads(self):
        return resolve_padding(self.padding, self.shape[1:3], self.window, self.strides)

    def x(self, dtype=np.float64):
        rng = np.random.default_rng(self.seed)
        if self.tied:  # small integers, most of them negative: ties, and padding that must not win
            return rng.integers(-4, 1, self.shape).astype(dtype)
        return rng.standard_normal(self.shape).astype(dtype) - 2


@st.composite
def pool_cases(draw, explicit=True):
    window = (draw(st.integers(1, 4)), draw(st.integers(1, 4)))
    strides = draw(st.just(window) | st.tuples(st.integers(1, 4), st.integers(1, 4)))
    choices = [st.sampled_from(["valid", "same"])]
    if explicit:
        choices.append(st.tuples(*[st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)) for k in window]))
    padding = draw(st.one_of(choices))
    sides = []
    for axis in range(2):
        given_pads = 0 if isinstance(padding, str) else sum(padding[axis])
        least = 1 if padding == "same" else max(1, window[axis] - given_pads)
        sides.append(draw(st.integers(least, least + 7)))
    shape = (draw(st.integers(1, 3)), *sides, draw(st.integers(1, 3)))
    return PoolCase(shape, window, strides, padding, draw(st.integers(0, 2**16)), draw(st.booleans()))
