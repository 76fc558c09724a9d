import inspect

import numpy as np
import pytest
from testing.grade.solutions import TEXTBOOK_CONV, TEXTBOOK_POOL, caller, functions

from minicnn.testing.grade import Verdict
from minicnn.testing.grade.causes import causes
from minicnn.testing.grade.conventions import conventions
from minicnn.testing.grade.search import smallest_failure
from minicnn.testing.grade.signatures import SEARCHED, SIGNATURES, other_course, wrong_signature
from minicnn.testing.grade.verdict import grade_function

# In the loops of a learner: what is right, what stands there instead, and the cause that is told.
MISTAKES = {
    "conv_forward": [
        ("window * W[..., k]", "window * W[::-1, ::-1, :, k]", "the kernel is flipped"),
        (" + b[0, 0, 0, k]", "", "the bias b is not added"),
        ("return activation(Z)", "return Z", "the activation is not applied"),
    ],
    "conv_backward": [
        ("return dA, dW, dZ.sum(", "return dA / m, dW / m, (1 / m) * dZ.sum(", "1/m is left in: gradients"),
        ("return dA, dW, dZ.sum(", "return dA, dW / m, (1 / m) * dZ.sum(", "1/m is left in dW and db"),
        ("return dA, dW,", "return dW, dA,", "the results are swapped: it returns dW, dA_prev, db"),
        ("dP[here] +=", "dP[here] =", "`=` instead of `+=` in dA_prev:"),
        ("dW[..., k] +=", "dW[..., k] =", "`=` instead of `+=` in dW:"),
        ("dP[here] += W[..., k]", "dP[here] += W[::-1, ::-1, :, k]", "the kernel is flipped in dA_prev"),
        (", columns[0] : columns[0] + w]", "]", ""),  # cut on one side only: no usual mistake
        (
            "dA = dP[:, rows[0] : rows[0] + h, columns[0] : columns[0] + w]",
            "dA = dP",
            "the padding is not cut off",
        ),
        (", keepdims=True", "", "keepdims=True is missing"),
    ],
    "pool_forward": [
        ("window.mean(", "window.sum(", 'mode "avg" is not divided'),
        ('window.max(axis=(1, 2)) if mode == "max" else ', "", "`mode` is ignored: it always takes the mean"),
        ("window.max(axis=(1, 2))", "np.maximum(window.max(axis=(1, 2)), 0)", "the maximum begins at 0"),
    ],
    "pool_backward": [
        (" / (kh * kw)", "", 'mode "avg" is not divided'),
        ("dx[here] +=", "dx[here] =", "`=` instead of `+=`"),
        ("return dx", "return dx / len(dA)", "1/m is left in"),
    ],
}


@pytest.mark.parametrize(
    ("name", "right", "wrong", "cause"),
    [(name, *mistake) for name, mistakes in MISTAKES.items() for mistake in mistakes],
)
def test_the_usual_cause_is_told(name, right, wrong, cause):
    source = TEXTBOOK_CONV if name.startswith("conv") else TEXTBOOK_POOL
    assert right in source
    verdict = grade_function(name, caller(name, functions(source.replace(right, wrong))[name]))
    assert not verdict.passed
    assert verdict.cause.startswith(cause)
    assert bool(verdict.cause) == bool(cause)


@pytest.mark.parametrize("name", SIGNATURES)
def test_no_mistake_is_the_function_itself(name):
    for mistake in causes(name):
        call = caller(name, by_position(name, mistake.function))
        assert smallest_failure(name, call, conventions(name)[0], shrink=False)


def by_position(name, function):
    names = list(inspect.signature(functions(f"def f({SIGNATURES[name]}): pass")["f"]).parameters)
    return lambda *given: function(**dict(zip(names, given, strict=True)))


def test_signatures_of_other_courses_are_recognised():
    told = wrong_signature("conv_forward", ["A_prev", "W", "b", "hparameters"])
    assert "those of the Deep Learning Specialization" in told
    assert 'the exercise wants conv_forward(A_prev, W, b, activation, padding="same"' in told
    assert "Deep Learning Specialization" in wrong_signature("pool_backward", ["dA", "cache", "mode"])
    assert "CS231n" in wrong_signature("conv_forward", ["x", "w", "b", "conv_param"])
    order = ["A_prev", "W", "b", "activation", "stride", "padding"]
    assert "another order" in wrong_signature("conv_forward", order)
    assert wrong_signature("pool_forward", ["A_prev", "kernel_shape", "stride", "mode"]) == ""
    assert wrong_signature("pool_forward", []) == ""
    assert "CS231n" in other_course(["conv_forward_naive"])
    assert set(SIGNATURES) < set(SEARCHED)


def test_a_verdict_of_a_function_of_zeros_has_no_cause():
    verdict = grade_function("pool_forward", caller("pool_forward", lambda *given: np.zeros((1, 1, 1, 1))))
    assert isinstance(verdict, Verdict)
    assert (verdict.passed, verdict.cause, verdict.convention) == (False, "", "")
