"""Initial weights: they come from the generator that `build` passes to init_params."""

import copy
import inspect
from types import CodeType, FunctionType
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.contents import class_values
from minicnn.testing.layer_under_test import LayerUnderTest, unbuilt
from minicnn.testing.passes import trainable
from minicnn.testing.report import fail_check

SOURCES = {"default_rng", "RandomState", "Generator", "PCG64", "Random", "SeedSequence", "MT19937", "Philox"}


def check_initialization(target: LayerUnderTest) -> None:
    """Check that another seed of `build` gives other random weights, and that layers share none."""
    one, two = target.build(), target.build(seed=target.seed + 1)
    for (name, first), (_, second) in zip(trainable(one), trainable(two), strict=True):
        if np.may_share_memory(first.value, second.value):
            hint = "an array at module or class level, of which Parameter must make a copy"
            fail_check("two layers share the values of a weight", name, hint=hint)
        same = np.array_equal(first.value, second.value)
        if not same or first.value.size < 2 or np.ptp(first.value) == 0:
            continue
        part = _seeded_part(one, name)
        source = next(_random_sources(type(target.layer)), None)
        if not part and source is None:
            continue  # a pattern, such as the identity
        if any(
            "seed" in name or "state" in name for name in inspect.signature(type(target.layer)).parameters
        ):
            target.remark(f"the initial {name!r} depends on the layer's own seed only, not on that of build")
            continue
        what = "build with another seed gives the same random weights, so all such layers start alike"
        hint = (
            f"`{part}` is built from a fixed seed" if part else f"a generator of the layer's own, `{source}`"
        )
        fail_check(what, name, hint=f"{hint}; use the `rng` of init_params")


def _seeded_part(layer: Layer, weight: str) -> str:
    """Return the name of a layer within this one that alone gets another weight from another seed, or ""."""
    for name, part in layer.named_layers():
        if not weight.startswith(f"{name}.") or part.input_shape is None:
            continue
        copies = [unbuilt(copy.deepcopy(part)).build(part.input_shape, rng=s) for s in (1, 2)]
        values = [dict(each.named_parameters())[weight[len(name) + 1 :]].value for each in copies]
        if not np.array_equal(values[0], values[1]):
            return name
    return ""


def _random_sources(kind: type[Layer]) -> Any:
    """Yield the names of random generators that the layer's own code, and functions that it calls, makes."""
    for value in class_values(kind):
        function = value.__func__ if isinstance(value, staticmethod | classmethod) else value
        if isinstance(function, FunctionType):
            yield from _names(function.__code__, function.__globals__, depth=2)


def _names(code: CodeType, around: dict[str, Any], depth: int) -> Any:
    yield from (name for name in code.co_names if name in SOURCES)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant, around, depth)
    for name in code.co_names if depth else ():
        found = around.get(name)
        if isinstance(found, FunctionType):
            yield from _names(found.__code__, found.__globals__, depth - 1)
        elif isinstance(found, np.random.Generator | np.random.RandomState):
            yield name
