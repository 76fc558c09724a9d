"""`check_optimizer`: an update rule against a reference in float64, and what it may do to its arguments."""

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from minicnn.parameter import Parameter
from minicnn.plural import counted
from minicnn.testing.contents import reachable
from minicnn.testing.optimizer_references import Reference
from minicnn.testing.report import fail_check, require_equal
from minicnn.testing.trials import name_of, run_trials
from minicnn.validation import check_int


class HasStep(Protocol):
    """An optimizer."""

    def step(self, parameters: Iterable[Any]) -> Any:
        """Update parameters from their gradients."""


def check_optimizer(
    make: Callable[[], HasStep],
    reference: Reference | None = None,
    *,
    steps: int = 12,
    rng: int = 0,
    skip: Sequence[str] = (),
) -> None:
    """Check an optimizer, an object with `step(parameters)`, on parameters with `value` and `grad`.

    Checked are: that gradients stay as they are, values stay in their buffers and in their dtype (`results`);
    the numbers after several steps, in float64 (`reference`) and float32 (`float32`); that parameters do not
    share state (`independent`); that frozen parameters stay (`frozen`); that a copy goes on in the same way
    (`copies`); and that the state is updated in place, in the same arrays (`state`).

    Parameters
    ----------
    make : callable
        Returns a new optimizer.
    reference : callable, optional
        `(value, grads) -> value` after a step for each of the gradients, such as `AdamSteps(lr=0.01)` or
        `SGDSteps(lr=0.01, momentum=0.9)`, which also know the usual mistakes.
    steps : int
        Number of steps.
    rng : int
        Seed.
    skip : sequence of str
        Names of checks to leave out: "independent" for an optimizer that clips all gradients by one norm.

    Raises
    ------
    LayerCheckError
        If a check fails, with a report.

    Examples
    --------
    >>> from minicnn import AdamW
    >>> from minicnn.testing import AdamSteps
    >>> check_optimizer(lambda: AdamW(0.01, weight_decay=0.1), AdamSteps(lr=0.01, weight_decay=0.1))
    """
    __tracebackhide__ = True
    trial = _OptimizerTrial(make, reference, check_int(steps, "steps", low=2), rng)
    checks = ["results", "reference", "float32", "independent", "frozen", "copies", "state"]
    for name in skip:
        if name not in checks:
            raise ValueError(f"check names must be among {', '.join(checks)}, got {name!r}")
    chosen = {check: getattr(trial, check) for check in checks if check not in skip}
    run_trials(name_of(make()), trial.values[0].shape, chosen)


class _OptimizerTrial:
    def __init__(self, make: Any, reference: Reference | None, steps: int, seed: int) -> None:
        self.make, self.expected = make, reference
        rng = np.random.default_rng(seed)
        self.values = [rng.standard_normal(shape) for shape in ((3, 2), (3, 2), ())]
        self.grads = [[rng.standard_normal(v.shape) for v in self.values] for _ in range(steps)]

    def run(
        self, which: Sequence[int], dtype: Any = np.float64, steps: int | None = None
    ) -> tuple[list[Parameter], Any]:
        """Make the first steps, or all, with some of the parameters; return these, and the optimizer."""
        parameters = [Parameter(self.values[i].astype(dtype)) for i in which]
        optimizer = self.make()
        for grads in self.grads[:steps]:
            _set(parameters, [grads[i] for i in which])
            optimizer.step(parameters)
        return parameters, optimizer

    def results(self) -> None:
        for dtype in (np.float64, np.float32):
            parameters = [Parameter(value.astype(dtype)) for value in self.values]
            buffers, optimizer = [p.value for p in parameters], self.make()
            for grads in self.grads[:2]:
                _set(parameters, grads)
                before = [p.grad.copy() for p in parameters]
                optimizer.step(parameters)
                for i, (p, buffer, grad) in enumerate(zip(parameters, buffers, before, strict=True)):
                    name = f"parameter {i}"
                    if p.value is not buffer or p.value.dtype != dtype:
                        hint = "assign into the array: `p.value[...] -= update`; replicas share it"
                        fail_check("the value is in another array after a step", name, hint=hint)
                    require_equal(p.grad, grad, "a step changes the gradient", name, "an operation in place")
            if all(np.array_equal(b, v.astype(dtype)) for b, v in zip(buffers, self.values, strict=True)):
                fail_check("a step does not change the parameters")

    def reference(self) -> None:
        if self.expected is None:
            return
        mistake = self._mistake()
        for n in (1, len(self.grads)):
            parameters, _ = self.run(range(len(self.values)), steps=n)
            for i, parameter in enumerate(parameters):
                expected = self.expected(self.values[i], [grads[i] for grads in self.grads[:n]])
                what = f"after {counted(n, 'step')}, the value differs from that of the reference"
                require_equal(parameter.value, expected, what, f"parameter {i}", mistake)

    def _mistake(self) -> str:
        """Return the usual mistake that gives the numbers of all steps."""
        value = self.run([0])[0][0].value
        grads = [grads[0] for grads in self.grads]
        if self.expected is not None and np.allclose(self.expected(self.values[0], grads), value, rtol=1e-9):
            return "state that parameters share, as by their shapes: with one of them alone it is right"
        for name, mistaken in getattr(self.expected, "mistakes", dict)().items():
            if np.allclose(mistaken(self.values[0], grads), value, rtol=1e-9, atol=1e-12):
                return name
        return ""

    def float32(self) -> None:
        every = range(len(self.values))
        single, double = self.run(every, np.float32)[0], self.run(every)[0]
        for i, (got, expected) in enumerate(zip(single, double, strict=True)):
            what = "in float32, the value is inaccurate"
            require_equal(got.value, expected.value, what, f"parameter {i}", rtol=1e-4)

    def independent(self) -> None:
        together = self.run(range(len(self.values)))[0]
        for i, parameter in enumerate(together):
            alone = self.run([i])[0][0]
            what = "the value depends on which other parameters there are"
            hint = "state that parameters share, or a step counted for each; a norm of all: skip this"
            require_equal(parameter.value, alone.value, what, f"parameter {i}", hint)

    def frozen(self) -> None:
        parameters, optimizer = [Parameter(value) for value in self.values], self.make()
        _set(parameters, self.grads[0])
        parameters[1].trainable = False
        optimizer.step(parameters)
        what = "a step changes a parameter that is not trainable"
        require_equal(
            parameters[1].value, self.values[1], what, "parameter 1", "weight decay of all parameters"
        )

    def copies(self) -> None:
        (parameters, optimizer), (others, _) = self.run([0]), self.run([0])
        copied = copy.deepcopy(optimizer)
        for each, chosen in ((parameters, optimizer), (others, copied)):
            _set(each, [self.grads[0][0]])
            chosen.step(each)
        what = "a copy of the optimizer makes another step"
        require_equal(
            others[0].value, parameters[0].value, what, "parameter 0", "state by the id of a parameter"
        )

    def state(self) -> None:
        parameters, optimizer = self.run(range(len(self.values)))
        before = _arrays(optimizer)
        _set(parameters, self.grads[0])
        optimizer.step(parameters)
        new = [array for key, array in _arrays(optimizer).items() if key not in before]
        if new:
            hint = "`m *= beta` in place of `m = beta * m`; allocating state in each step is slow"
            fail_check("a step puts its state into new arrays", hint=hint, got=f"shape {new[0].shape}")


def _set(parameters: Sequence[Parameter], grads: Sequence[np.ndarray]) -> None:
    for parameter, grad in zip(parameters, grads, strict=True):
        parameter.zero_grad()
        parameter.add_grad(grad)


def _arrays(optimizer: Any) -> dict[int, np.ndarray]:
    """Return the arrays with elements that an optimizer holds, by the address of their data."""
    held = [part for part in reachable(optimizer) if isinstance(part, np.ndarray) and part.size > 1]
    return {array.__array_interface__["data"][0]: array for array in held}
