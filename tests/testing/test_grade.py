import json
import time

import numpy as np
import pytest

from minicnn import functional
from minicnn.plural import counted
from minicnn.testing.grade import Grade, grade, grade_command
from minicnn.testing.grade.child import grade_function, main, matching_conventions
from minicnn.testing.grade.conventions import conventions
from minicnn.testing.grade.grading import FUNCTIONS

# What learners write: loops, with the places where they differ left open.
CONV = """
import numpy as np

def pads(n, k, s):
    total = (n - 1) * s + k - n
    return {pads}

def conv_forward(A_prev, W, b, activation, padding="same", stride=(1, 1)):
    (m, h, w, c), (kh, kw, _, c_new), (sh, sw) = A_prev.shape, W.shape, stride
    rows, columns = (pads(h, kh, sh), pads(w, kw, sw)) if padding == "same" else ((0, 0), (0, 0))
    P = np.pad(A_prev, ((0, 0), rows, columns, (0, 0)))
    Z = np.zeros((m, (h + sum(rows) - kh) // sh + 1, (w + sum(columns) - kw) // sw + 1, c_new))
    for i, j, k in np.ndindex(Z.shape[1:]):
        window = P[:, i * sh : i * sh + kh, j * sw : j * sw + kw]
        Z[:, i, j, k] = (window * W[..., k]).sum(axis=(1, 2, 3)) + b[0, 0, 0, k]
    return activation(Z)

def conv_backward(dZ, A_prev, W, b, padding="same", stride=(1, 1)):
    (m, h, w, c), (kh, kw, _, _), (sh, sw) = A_prev.shape, W.shape, stride
    rows, columns = (pads(h, kh, sh), pads(w, kw, sw)) if padding == "same" else ((0, 0), (0, 0))
    P = np.pad(A_prev, ((0, 0), rows, columns, (0, 0)))
    dP, dW = np.zeros_like(P), np.zeros_like(W)
    for n, i, j, k in np.ndindex(dZ.shape):
        here = n, slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw)
        dP[here] += W[..., k] * dZ[n, i, j, k]
        dW[..., k] += P[here] * dZ[n, i, j, k]
    dA = dP[:, rows[0] : rows[0] + h, columns[0] : columns[0] + w]
    return dA, dW, dZ.sum(axis=(0, 1, 2), keepdims=True)
"""
POOL = """
import numpy as np

def pool_forward(A_prev, kernel_shape, stride=(1, 1), mode="max"):
    (m, h, w, c), (kh, kw), (sh, sw) = A_prev.shape, kernel_shape, stride
    A = np.zeros((m, (h - kh) // sh + 1, (w - kw) // sw + 1, c))
    for i, j in np.ndindex(A.shape[1:3]):
        window = A_prev[:, i * sh : i * sh + kh, j * sw : j * sw + kw]
        A[:, i, j] = window.max(axis=(1, 2)) if mode == "max" else window.mean(axis=(1, 2))
    return A

def pool_backward(dA, A_prev, kernel_shape, stride=(1, 1), mode="max"):
    (kh, kw), (sh, sw) = kernel_shape, stride
    dx = np.zeros(A_prev.shape)
    for n, i, j, c in np.ndindex(dA.shape):
        here = n, slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw), c
        window = A_prev[here]
        if mode == "avg":
            dx[here] += dA[n, i, j, c] / (kh * kw)
        else:
            {rule}
    return dx
"""


def functions(source):
    namespace = {}
    exec(source, namespace)
    return namespace


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_functional_module_is_correct(name):
    result = grade_function(name, getattr(functional, name))
    assert result["passed"]


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
    return matching_conventions(name, functions(code)[name], conventions(name), examples=40)[0].description


def test_another_convention_is_reported_with_the_smallest_case_where_it_differs():
    first = "r, s = divmod(window.argmax(), kw); dx[n, i * sh + r, j * sw + s, c] += dA[n, i, j, c]"
    code = POOL.replace("{rule}", first)
    result = grade_function("pool_backward", functions(code)["pool_backward"])
    assert not result["passed"]
    assert result["convention"].startswith("the first of several tied maxima")
    A_prev = next(line for line in result["case"].splitlines() if line.startswith("A_prev"))
    assert eval(A_prev.partition(" = ")[2], {"np": np}).size == 2


def test_the_smallest_failing_case_can_be_typed_again():
    wrong = POOL.replace("{rule}", "dx[here] += (window == window.max()) * abs(dA[n, i, j, c] - 1)")
    case = grade_function("pool_backward", functions(wrong)["pool_backward"])["case"]
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
        ("return [[1], [1, 2]]", "A must be an array, but is a ragged list"),
        ("raise KeyError('x')", ") raised KeyError"),
        ("exit(3)", ") ended the program with exit()"),
        ("return np.array([['a']])", "A must be an array of numbers, but is array"),
    ],
)
def test_the_report_says_what_a_function_does_wrong(body, message):
    source = f"import numpy as np\ndef pool_forward(A_prev, kernel_shape, stride, mode):\n    {body}\n"
    result = grade_function("pool_forward", functions(source)["pool_forward"])
    assert not result["passed"]
    assert message in result["case"]


def test_a_function_must_return_all_of_its_results():
    result = grade_function("conv_backward", lambda dZ, A_prev, W, b, padding, stride: dZ)
    assert "must return dA_prev, dW, db, but returned ndarray" in result["case"]


def test_a_file_is_graded_in_another_process_and_its_noise_does_not_matter(tmp_path):
    path = tmp_path / "solution.py"
    noise = (
        "import sys, os\nprint('{\"event\": \"finished\"}')\nsys.stderr.write('x' * 100000)\nos.close(1)\n"
    )
    path.write_text(noise + POOL.replace("{rule}", "dx[here] += (window == window.max()) * dA[n, i, j, c]"))
    result = grade(str(path), timeout=60)
    assert result.passed
    assert list(tmp_path.iterdir()) == [path]  # nothing is left beside it
    lines = [line for line in str(result).splitlines()[1:] if line[2] != " "]
    assert [line.split(";")[0].split() for line in lines] == [
        ["conv_forward", "not", "defined"],
        ["pool_forward", "correct"],
        ["conv_backward", "not", "defined"],
        ["pool_backward", "correct"],
    ]


def test_functions_after_one_that_hangs_or_exits_are_still_graded(tmp_path):
    path = tmp_path / "solution.py"
    path.write_text(
        "import os, time\n"
        "def conv_forward(*a, **k): os._exit(7)\n"
        "def pool_forward(*a, **k):\n"
        "    while True: time.sleep(0.01)\n"
        + POOL.replace("def pool_forward", "def other").replace(
            "{rule}", "dx[here] += (window == window.max()) * dA[n, i, j, c]"
        )
    )
    text, passed = grade_command(str(path), timeout=5)
    assert not passed
    assert "ended the process (status 7)" in text
    assert "did not finish within 5 s" in text
    assert "pool_backward correct" in text


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def pool_forward(:", "is not valid Python: line 1: invalid syntax"),
        ("\n1 / 0", "raised ZeroDivisionError in line 2: division by zero"),
        ("import no_such_module_anywhere", "raised ModuleNotFoundError in line 1: No module"),
        ("exit()", "ended the program with exit() in line 1"),
    ],
)
def test_the_report_says_why_a_file_does_not_run(tmp_path, monkeypatch, source, problem):
    monkeypatch.syspath_prepend(tmp_path)  # so that what main puts there is taken away again
    path, events = tmp_path / "solution.py", tmp_path / "events"
    path.write_text(source)
    main(str(path), str(events), "conv_forward", "1")
    _, failed = map(json.loads, events.read_text().splitlines())
    assert failed["text"].startswith(problem)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = 3", "defines none of conv_forward, pool_forward, conv_backward, pool_backward"),
        ("1 / 0", "the file raised ZeroDivisionError in line 1: division by zero"),
        ("import os; os._exit(0)", "the file ended the process (status 0)"),
        ("import time\nwhile True: time.sleep(0.1)", "the file did not finish within 1 s"),
    ],
)
def test_a_file_that_cannot_be_graded_gets_one_sentence(tmp_path, source, problem):
    path = tmp_path / "solution.py"
    path.write_text(source)
    text, passed = grade_command(str(path), timeout=1)
    assert not passed
    assert text.startswith(f"{path}: {problem}")
    assert text.count("\n") == 0


def test_a_folder_is_graded_file_by_file(tmp_path):
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_text("from minicnn.functional import pool_forward")
    text, passed = grade_command(str(tmp_path), timeout=60)
    assert passed
    assert text.count("pool_forward  correct") == 2


@pytest.mark.parametrize(
    ("name", "timeout"), [("missing.py", 5), ("empty", 5), ("there.py", 0), ("there.py", -1)]
)
def test_wrong_arguments_raise_clear_errors(tmp_path, name, timeout):
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.py").touch()
    with pytest.raises(ValueError, match=r"no such file|no Python file|must be positive"):
        grade_command(str(tmp_path / name), timeout)


def test_an_empty_grade_has_not_failed_yet():
    assert str(Grade("x.py", problem="it is empty")) == "x.py: it is empty"
    assert not Grade("x.py", problem="it is empty").passed


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_convention_is_identified_without_time_for_many_cases(name):
    known = conventions(name)
    for convention in known:
        # Without time, no drawn case is tried: to draw 150 for each pair of conventions takes seconds.
        assert matching_conventions(name, convention.function, known, seconds=0.0, examples=10) == [
            convention
        ]


def test_the_report_says_how_many_cases_a_slow_function_had_time_for():
    def pool_forward(*given):
        time.sleep(0.1)
        return functional.pool_forward(*given)

    result = grade_function("pool_forward", pool_forward, timeout=0.3)
    assert result["passed"]
    assert 1 <= result["calls"] <= 3
    report = str(Grade("slow.py", functions={"pool_forward": result}))
    assert f"correct in {counted(result['calls'], 'case')}, then time ran out" in report


def test_forked_copies_are_stopped(tmp_path):
    (tmp_path / "forks.py").write_text(
        "import os, time\n"
        "from minicnn.functional import pool_forward as ours\n"
        "if not os.fork():\n"
        "    while True:\n"
        "        print('alive', file=open('life', 'a'))\n"
        "        time.sleep(0.01)\n"
        "def pool_forward(*given):\n"
        "    os.fork()\n"
        "    return ours(*given)\n"
    )
    assert grade(str(tmp_path / "forks.py")).passed
    lines = (tmp_path / "life").read_text()
    time.sleep(0.2)
    assert (tmp_path / "life").read_text() == lines
