import re
import time

import numpy as np
import pytest
from testing.grade.solutions import CONV, POOL, caller, functions

from minicnn import functional
from minicnn.plural import counted
from minicnn.testing.grade import Grade
from minicnn.testing.grade.conventions import conventions
from minicnn.testing.grade.signatures import FUNCTIONS
from minicnn.testing.grade.verdict import grade_function, matching


def verdict_of(name, function, path="", timeout=60.0):
    return grade_function(name, caller(name, function, path), timeout)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_functional_module_is_correct(name):
    result = verdict_of(name, getattr(functional, name))
    assert result.passed


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("mask = window == window.max()", "every tied maximum gets the gradient"),
        ("mask = np.arange(window.size).reshape(window.shape) == window.argmax()", "the first of several"),
        ("mask = np.arange(window.size).reshape(window.shape) == "
         "window.size - 1 - window.ravel()[::-1].argmax()", "the last of several"),
        ("mask = (window == window.max()) / (window == window.max()).sum()", "share the gradient evenly"),
    ],
)  # fmt: skip
def test_the_rule_for_ties_is_identified(rule, words):
    code = POOL.replace("{rule}", f"{rule}; dx[here] += mask * dA[n, i, j, c]")
    assert words in convention_of("pool_backward", code)


@pytest.mark.parametrize(
    ("pads", "words"),
    [
        ("(total - total // 2, total // 2)", "odd row or column goes before (the textbook's"),
        (
            "(total // 2, total - total // 2)",
            "keeps the size for any stride, an odd row or column goes after",
        ),
        ("(-(-total // 2), -(-total // 2))", "pads both sides equally, rounded up"),
        ("((k - 1) // 2, (k - 1) // 2)", "pads (k - 1) // 2 on both sides"),
        ("(k // 2, k // 2)", "pads k // 2 on both sides"),
        (
            "(lambda t: (t // 2, t - t // 2))(max((-(-n // s) - 1) * s + k - n, 0))",
            "ceil(n / stride) rows, an odd row goes after (as in TensorFlow)",
        ),
    ],
)
@pytest.mark.parametrize("name", ["conv_forward", "conv_backward"])
def test_the_meaning_of_same_is_identified(name, pads, words):
    if name == "conv_backward" and "rounded up" in words:
        words = "the textbook's"  # the gradient's shape says how far the window goes
    assert words in convention_of(name, CONV.replace("{pads}", pads))


def convention_of(name, code):
    """Return in words the first convention by which a function is right."""
    return matching(name, caller(name, functions(code)[name]), conventions(name), examples=40)[0].description


def test_another_convention_is_reported_with_the_smallest_case_where_it_differs():
    first = "r, s = divmod(window.argmax(), kw); dx[n, i * sh + r, j * sw + s, c] += dA[n, i, j, c]"
    code = POOL.replace("{rule}", first)
    result = verdict_of("pool_backward", functions(code)["pool_backward"])
    assert not result.passed
    assert result.convention.startswith("the first of several tied maxima")
    A_prev = next(line for line in result.case.splitlines() if line.startswith("A_prev"))
    assert eval(A_prev.partition(" = ")[2], {"np": np}).size == 2


def test_the_smallest_failing_case_can_be_typed_again():
    wrong = POOL.replace("{rule}", "dx[here] += (window == window.max()) * abs(dA[n, i, j, c] - 1)")
    case = verdict_of("pool_backward", functions(wrong)["pool_backward"]).case
    lines = case.splitlines()
    namespace = {"np": np, **functions(wrong)}
    arguments = [
        line for line in lines if line.split(" = ")[0] in ("dA", "A_prev", "kernel_shape", "stride", "mode")
    ]
    exec("\n".join(arguments), namespace)
    assert namespace["A_prev"].size == 1
    got = namespace["pool_backward"](
        *(namespace[a] for a in ("dA", "A_prev", "kernel_shape", "stride", "mode"))
    )
    expected = eval(lines[-1].partition(" = ")[2], {"np": np})
    assert not np.allclose(got, expected)
    np.testing.assert_allclose(
        functional.pool_backward(namespace["dA"], namespace["A_prev"], (1, 1)), expected
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("A_prev *= 2\n    return A_prev", "modified its argument A_prev"),
        ("return None", "A must be an array of numbers, but is None"),
        ("return A_prev[0]", "A must have shape (1, 1, 1, 1), but has (1, 1, 1)"),
        ("return [[1], [1, 2]]", "A must be an array of numbers, but is a ragged list"),
        ("raise KeyError('x')", ") raised KeyError"),
        ("exit(3)", ") ended the program with exit()"),
        ("return np.array([['a']])", "A must be an array of numbers, but is array"),
    ],
)
def test_the_report_says_what_a_function_does_wrong(body, message):
    source = f"import numpy as np\ndef pool_forward(A_prev, kernel_shape, stride, mode):\n    {body}\n"
    result = verdict_of("pool_forward", functions(source)["pool_forward"], "<string>")
    assert not result.passed
    assert message in result.case


def test_a_function_must_return_all_of_its_results():
    result = verdict_of("conv_backward", lambda dZ, A_prev, W, b, padding, stride: dZ)
    assert "must return dA_prev, dW, db, but returned one result" in result.case


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_convention_is_identified_without_time_for_many_cases(name):
    known = conventions(name)
    for convention in known:
        # Without time, no drawn case is tried: to draw 150 for each pair of conventions takes seconds.
        assert matching(name, caller(name, convention.function), known, seconds=0.0, examples=10) == [
            convention
        ]


def slow_pool_forward(seconds):
    def pool_forward(*given):
        time.sleep(seconds)
        return functional.pool_forward(*given)

    return pool_forward


def test_the_report_says_how_many_cases_a_slow_function_had_time_for():
    result = verdict_of("pool_forward", slow_pool_forward(0.008), timeout=1.6)
    assert result.passed
    assert 20 <= result.calls <= 100
    report = str(Grade("slow.py", functions={"pool_forward": result}))
    assert f"correct in {counted(result.calls, 'case')}, then time ran out" in report


def test_a_function_that_is_correct_in_a_few_cases_only_before_time_runs_out_does_not_pass():
    result = verdict_of("pool_forward", slow_pool_forward(0.1), timeout=0.3)
    assert not result.passed
    assert re.match(r"is too slow: it was correct in [123] cases of 150", result.case)


def test_a_table_of_the_right_results_does_not_pass():
    table = {}

    def key(given):
        return b"".join(v.tobytes() if isinstance(v, np.ndarray) else repr(v).encode() for v in given)

    def learn(*given):
        table[key(given)] = result = functional.pool_forward(*given)
        return result

    def look_up(*given):
        return table.get(key(given), given[0])

    assert verdict_of("pool_forward", learn).passed
    assert not verdict_of("pool_forward", look_up).passed


def test_a_busy_machine_makes_no_function_too_slow():
    calls = []

    def clock():  # of a machine on which each call takes long, but not by itself
        return len(calls) / 1e6

    def pool_forward(*given):
        calls.append(1)
        return functional.pool_forward(*given)

    verdict = grade_function("pool_forward", caller("pool_forward", pool_forward), 1e-3, clock)
    assert verdict.passed
    assert verdict.calls == 0  # all cases


def test_maxima_within_1e_3_are_not_ties():
    code = POOL.replace("{rule}", "mask = window > window.max() - 1e-3; dx[here] += mask * dA[n, i, j, c]")
    result = verdict_of("pool_backward", functions(code)["pool_backward"])
    assert not result.passed
    assert result.cause.startswith("values near the maximum are taken for ties")
    lines = dict(line.split(" = ", 1) for line in result.case.splitlines() if " = " in line)
    near = eval(lines["A_prev"], {"np": np})
    assert near.size == 2
    assert 0 < abs(np.diff(near.ravel())) <= 1e-3
