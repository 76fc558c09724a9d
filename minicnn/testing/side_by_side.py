"""Checkers of gradients side by side, on the broken layers of the zoo and the right ones of the styles.

    python -m minicnn.testing.side_by_side --seeds 1

prints a table: bugs found, right layers refused, and the median time. PyTorch's `gradcheck` and JAX's
`check_grads` take part where they are installed. They check one function of input and weights in float64;
what else a layer may do wrong is not theirs to find.
"""

import argparse
import copy
import importlib.util
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.check import check_layer
from minicnn.testing.passes import trainable
from minicnn.testing.running import one_blas_thread
from minicnn.testing.styles import STYLES
from minicnn.testing.zoo import ZOO

BATCH = 2
STEP = 1e-5  # of plain central differences
MOST_ELEMENTS = 60  # of an array, chosen at random, that plain differences perturb
TOLERANCE = 1e-4  # relative to the larger of both derivatives, with a floor of 1e-3


@dataclass(frozen=True)
class Case:
    """A layer to check: how it is made, its input shape, the source of its inputs, and a reference."""

    make: Callable[[], Layer]
    input_shape: tuple[int, ...]
    inputs: Any = None
    reference: Any = None

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Return a batch of inputs."""
        shape = (BATCH, *self.input_shape)
        return rng.standard_normal(shape) if self.inputs is None else self.inputs(rng, shape)


class Called:
    """A layer as a function of input and weights, and its backward; copied if forward changes it."""

    def __init__(self, case: Case, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.layer = case.make().build(case.input_shape, rng=seed, dtype=np.float64).train()
        self.arrays = [case.draw(rng), *(p.value.copy() for _, p in trainable(self.layer))]
        averages = [p for p in self.layer.parameters() if not p.trainable]
        self.copied = bool(self.layer.generators() or averages)

    def forward(self, x: np.ndarray, *weights: np.ndarray) -> tuple[np.ndarray, Layer]:
        """Return the output, and the layer that has computed it."""
        layer = copy.deepcopy(self.layer) if self.copied else self.layer
        for (_, parameter), value in zip(trainable(layer), weights, strict=True):
            parameter.value = value
        return np.array(layer(np.array(x))), layer

    @staticmethod
    def backward(layer: Layer, dy: np.ndarray) -> list[np.ndarray]:
        """Return the gradients of input and weights."""
        layer.zero_grad()
        dx = layer.backward(np.array(dy))
        return [np.array(dx), *(p.grad.copy() for _, p in trainable(layer))]


def with_check_layer(case: Case, seed: int) -> None:
    """Run all checks."""
    reference = case.reference() if case.reference else None
    check_layer(case.make(), case.input_shape, rng=seed, inputs=case.inputs, reference=reference)


def with_check_layer_gradients(case: Case, seed: int) -> None:
    """Run the checks of gradients only."""
    check_layer(case.make(), case.input_shape, rng=seed, inputs=case.inputs, only="gradients")


def with_central_differences(case: Case, seed: int) -> None:
    """Perturb one element after the other, as in a course's notebook."""
    called, rng = Called(case, seed), np.random.default_rng(seed)
    y, layer = called.forward(*called.arrays)
    dy = rng.standard_normal(y.shape)
    for i, gradient in enumerate(called.backward(layer, dy)):
        chosen = rng.permutation(called.arrays[i].size)[:MOST_ELEMENTS]
        for index in zip(*np.unravel_index(chosen, called.arrays[i].shape), strict=True):
            values = []
            for step in (STEP, -STEP):
                moved = [array.copy() for array in called.arrays]
                moved[i][index] += step
                values.append(float((called.forward(*moved)[0] * dy).sum()))
            numeric = (values[0] - values[1]) / (2 * STEP)
            largest = max(abs(numeric), abs(gradient[index]), 1e-3)
            if not abs(numeric - gradient[index]) <= TOLERANCE * largest:
                raise AssertionError(f"{gradient[index]} instead of {numeric}")


def with_gradcheck(case: Case, seed: int) -> None:
    """Run `torch.autograd.gradcheck`, as it is by default."""
    import torch

    called = Called(case, seed)

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            y, ctx.layer = called.forward(*(tensor.numpy() for tensor in tensors))
            ctx.save_for_backward(*tensors)
            return torch.from_numpy(y)

        @staticmethod
        def backward(ctx: Any, dy: Any) -> Any:
            # Other forwards may have run since then: a cache has one slot.
            _, layer = called.forward(*(tensor.detach().numpy() for tensor in ctx.saved_tensors))
            return tuple(map(torch.from_numpy, called.backward(layer, dy.numpy())))

    tensors = [torch.from_numpy(array).requires_grad_() for array in called.arrays]
    torch.autograd.gradcheck(Function.apply, tensors)


def with_check_grads(case: Case, seed: int) -> None:
    """Run `jax.test_util.check_grads` in reverse mode, on a function with `custom_vjp`."""
    import jax
    from jax.test_util import check_grads

    called = Called(case, seed)

    @jax.custom_vjp
    def function(*arrays: Any) -> Any:
        return jax.numpy.asarray(called.forward(*map(np.asarray, arrays))[0])

    def forward(*arrays: Any) -> tuple[Any, Any]:
        return function(*arrays), arrays

    def backward(arrays: Any, dy: Any) -> Any:
        _, layer = called.forward(*map(np.asarray, arrays))
        return tuple(map(jax.numpy.asarray, called.backward(layer, np.asarray(dy))))

    function.defvjp(forward, backward)
    with jax.enable_x64(True), jax.disable_jit():
        check_grads(function, called.arrays, order=1, modes=["rev"])


# Name in the table, function, and the package that it needs.
CHECKERS: tuple[tuple[str, Callable[[Case, int], None], str], ...] = (
    ("`check_layer`", with_check_layer, "numpy"),
    ('`check_layer(only="gradients")`', with_check_layer_gradients, "numpy"),
    ("`torch.autograd.gradcheck`", with_gradcheck, "torch"),
    ("`jax.test_util.check_grads`", with_check_grads, "jax"),
    ("plain central differences", with_central_differences, "numpy"),
)


def rejects(checker: Callable[[Case, int], None], case: Case, seed: int) -> bool:
    """Return whether a checker raises."""
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"), one_blas_thread():
            warnings.simplefilter("ignore")
            checker(case, seed)
    except Exception:
        return True
    return False


def compare(
    checker: Callable[[Case, int], None], seeds: int, limit: int | None = None
) -> tuple[int, int, int, int, float]:
    """Return bugs found and their number, right layers refused and theirs, and the median milliseconds.

    Found is what every seed rejects, refused what one of them does.
    """
    broken = [Case(s.make, s.input_shape, reference=s.reference) for s in ZOO.values()][:limit]
    right = [Case(s.make, s.input_shape, s.inputs) for s in STYLES.values()][:limit]
    times, verdicts = [], []
    for case in [*broken, *right]:
        results = []
        for seed in range(seeds):
            start = time.process_time()
            results.append(rejects(checker, case, seed))
            times.append(1000 * (time.process_time() - start))
        verdicts.append(results)
    found = sum(all(results) for results in verdicts[: len(broken)])
    refused = sum(any(results) for results in verdicts[len(broken) :])
    return found, len(broken), refused, len(right), float(np.median(times))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, in Markdown."""
    parser = argparse.ArgumentParser(prog="python -m minicnn.testing.side_by_side", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="seeds of each check (default: 1)")
    parser.add_argument("--limit", type=int, metavar="N", help="the first N broken and right layers only")
    args = parser.parse_args(arguments)
    print("| checker | bugs found | right layers refused | median time |")
    print("| --- | --- | --- | --- |")
    for name, checker, package in CHECKERS:
        if importlib.util.find_spec(package) is None:
            print(f"| {name} | {package} is not installed | | |")
            continue
        found, bugs, refused, right, milliseconds = compare(checker, args.seeds, args.limit)
        row = f"| {name} | {found} of {bugs} | {refused} of {right} | {milliseconds:.0f} ms |"
        print(row, flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
