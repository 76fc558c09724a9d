"""Later calls and large batches: what must not change with the number of calls or examples."""

import copy
from collections import deque
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.contents import class_values, global_values, reachable
from minicnn.testing.finite_differences import Comparison, EvaluationPoint, random_direction
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.locate import locate
from minicnn.testing.passes import INPUT, gradient_name, run
from minicnn.testing.report import CheckFailed, Failure, fail_check, require_equal
from minicnn.testing.surrogates import has_surrogate_gradient
from minicnn.testing.tracing import count_lines

STEPS = 12  # number of training steps before gradients are compared again
MANY_EXAMPLES = 2050
WORK = 3e7  # multiplications, about, of a forward on many examples
LINES = 30_000  # of Python code, for a layer with a loop over examples
CALLS = 200  # a buffer that is still growing after so many calls is taken for a leak
_STATE_HINT = "a counter, or state that each call changes"
_BATCH_HINT = "a limit on the batch size, or a sum in blocks whose rest is lost"


def check_steps(target: LayerUnderTest) -> None:
    """Check that outputs and gradients are still right after some training steps."""
    steps = STEPS // 3 if target.heavy else STEPS
    layer = _trained(target, steps)
    if not (target.random or target.has_statistics):
        x = target.draw()
        what = f"after {steps} training steps, the same weights give another output"
        require_equal(copy.deepcopy(layer)(x.copy()), target.fresh()(x.copy()), what, "y", _STATE_HINT)
    failure = _wrong_gradient(target, layer, target.batch_size)
    if failure is not None:
        first = next(
            (n for n in range(steps) if _wrong_gradient(target, _trained(target, n), target.batch_size)),
            steps,
        )
        if first == 0:  # wrong from the start, as the check of gradients says too
            raise CheckFailed(failure)
        failure.what += f", after {first} training steps"
        failure.facts["only"] = f"from training step {first + 1} on"
        failure.hint = _STATE_HINT
        raise CheckFailed(failure)


def _trained(target: LayerUnderTest, steps: int) -> Layer:
    """Return a copy of the layer after forwards and backwards, with gradients of zero."""
    layer = target.fresh()
    for _ in range(steps):
        layer(target.draw())
        layer.backward(target.draw_dy())
    layer.zero_grad()
    return layer


def _wrong_gradient(target: LayerUnderTest, layer: Layer, n: int) -> Failure | None:
    """Return the failure of a gradient of this layer, or None."""
    point = EvaluationPoint(copy.deepcopy(layer), target.draw(examples=n), target.draw_dy(n))
    names = [name for name in point.values if name != INPUT or not has_surrogate_gradient(target)]
    for sparse in (False, True):
        directions = {name: random_direction(point.values[name], target.rng, sparse) for name in names}
        if not names or point.agrees(directions):
            continue
        for name, d in directions.items():
            wrong = point.compare({name: d}) is Comparison.MISMATCH
            if wrong and not has_surrogate_gradient(target, name):
                return locate(point, name, target.rng) or Failure(
                    "", "a gradient is wrong", gradient_name(name)
                )
    return None


def check_batches(target: LayerUnderTest) -> None:
    """Check that a large batch, of copies of a few examples, gives the results of these."""
    small = target.batch_size + 2
    copies = _many_examples(target) // small
    if copies < 2 or target.inputs is not None:
        return
    n = copies * small
    if target.random or target.batch_dependent:
        failure = _wrong_gradient(target, target.fresh(), n)
        if failure is not None:
            failure.what += f", in a batch of {n} examples"
            failure.facts["only"] = "in large batches"
            failure.hint = _BATCH_HINT
            raise CheckFailed(failure)
        return
    x, dy = target.draw(examples=small), target.draw_dy(small)
    one = run(target.fresh(), x, dy).arrays()
    many = run(target.fresh(), *(np.concatenate([array] * copies) for array in (x, dy))).arrays()
    target.drawn = f"normal, batch of {n}"
    for name, array in many.items():
        expected = one[name] * copies if name not in ("y", "dx") else np.concatenate([one[name]] * copies)
        what = f"{name} of a batch of {n} examples differs from that of {small}, although examples repeat"
        mean = name not in ("y", "dx") and np.allclose(array * copies, expected)
        hint = "a mean over the batch in place of a sum" if mean else _BATCH_HINT
        require_equal(array, expected, what, name, hint)


def _many_examples(target: LayerUnderTest) -> int:
    """Return how many examples a layer can process in a few milliseconds, at most MANY_EXAMPLES."""

    def lines(n: int) -> int:
        x, layer = target.draw(examples=n), target.fresh()
        return count_lines(lambda: layer(x))

    low = target.smallest_batch
    per_example = (lines(low + 4) - lines(low)) / 4
    return int(min(MANY_EXAMPLES, WORK / target.work, LINES / max(per_example, 1e-9)))


def check_memory(target: LayerUnderTest) -> None:
    """Check that the memory of the layer does not grow with every call."""
    for training in (True, False):
        layer = target.fresh().train(training)
        sizes = [_size_after(target, layer, calls) for calls in (2, 1, 1)]
        if sizes[0] < sizes[1] < sizes[2]:
            sizes = [_size_after(target, layer, calls) for calls in (CALLS, CALLS // 4)]
            if sizes[0] < sizes[1]:
                mode = "training" if training else "eval"
                what = f"the layer grows with every call in {mode} mode"
                growth = f"{(sizes[1] - sizes[0]) / (CALLS // 4):.0f} bytes a call"
                hint = "an append to a list, or a dict with a new key in each call; use self.cache"
                fail_check(what, hint=hint, growth=growth)


def _size_after(target: LayerUnderTest, layer: Layer, calls: int) -> int:
    for _ in range(calls):
        x = target.draw(examples=target.smallest_batch)
        layer(x)
        if layer.training:
            layer.backward(target.draw_dy(target.smallest_batch))
    layer.zero_grad()
    return sum(map(_bytes, [*reachable(layer), *_class_containers(layer)]))


def _bytes(part: Any) -> int:
    if isinstance(part, np.ndarray):
        return part.nbytes
    return 8 * len(part) if isinstance(part, list | dict | set | deque | str | bytes) else 0


def _class_containers(layer: Layer) -> list[Any]:
    """Return the containers of the layer's classes and their modules, and the arrays that they hold."""
    values = class_values(type(layer)) + global_values(type(layer))
    found = [value for value in values if isinstance(value, list | dict | set | deque)]
    held = [item for each in found for item in (each.values() if isinstance(each, dict) else each)]
    return found + [item for item in held if isinstance(item, np.ndarray | list)]
