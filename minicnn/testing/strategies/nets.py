"""Strategies for small nets."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from minicnn.layers.base import Layer
from minicnn.testing.strategies.layers import LayerCase
from minicnn.testing.strategies.values import MAX_CHANNELS, MAX_SIDE, seeds

BODIES: dict[str, Callable[[], Layer]] = {
    "convolution": lambda: Conv2D(2, 2, padding="same"),
    "ReLU": ReLU,
    "Tanh": Tanh,
    "pooling": lambda: Pool2D(2, padding="same"),
    "BatchNorm": BatchNorm,
    "Dropout": lambda: Dropout(0.25),
    "residual": lambda: Residual([Tanh()]),
}


@st.composite
def nets(draw: Callable[..., Any], depth: int = 4) -> LayerCase:
    """Draw a small net for images: up to `depth` layers, and on top of them a dense one.

    Examples
    --------
    >>> from hypothesis import given, settings
    >>> @settings(deadline=None)
    ... @given(case=nets())
    ... def test_my_optimizer(case):
    ...     net = case.layer.build(case.input_shape, rng=case.seed)
    """
    names = draw(st.lists(st.sampled_from(list(BODIES)), max_size=depth))
    side = st.integers(2, MAX_SIDE)
    shape = (draw(side), draw(side), draw(st.integers(1, MAX_CHANNELS)))
    net = Sequential([*(BODIES[name]() for name in names), Flatten(), Dense(draw(st.integers(1, 4)))])
    return LayerCase(net, shape, draw(st.integers(2, 4)), draw(seeds()))
