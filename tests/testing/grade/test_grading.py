import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from testing.grade.solutions import TEXTBOOK_POOL, write

from minicnn.testing.grade import Grade, Verdict, grade, grade_all
from minicnn.testing.grade.child import load
from minicnn.testing.grade.folder import copy_folder, solutions
from minicnn.testing.grade.grading import MEMORY
from minicnn.testing.grade.isolation import Isolation, best_isolation, protection
from minicnn.testing.grade.signatures import FUNCTIONS
from minicnn.testing.grade.table import COLUMNS, csv_table, rows


def test_a_file_is_graded_in_another_process_and_its_noise_does_not_matter(tmp_path):
    noise = (
        "import sys, os\nprint('{\"event\": \"finished\"}')\nsys.stderr.write('x' * 100000)\nos.close(1)\n"
        "open('left.txt', 'w').write('beside')\n"
    )
    path = write(tmp_path, "solution.py", noise + TEXTBOOK_POOL)
    result = grade(path, timeout=60)
    assert result.passed
    assert list(tmp_path.iterdir()) == [tmp_path / "solution.py"]  # nothing is left beside it
    lines = [line for line in str(result).splitlines()[1:] if line[2] != " "]
    assert [line.split(";")[0].split() for line in lines] == [
        ["conv_forward", "not", "defined"],
        ["pool_forward", "correct"],
        ["conv_backward", "not", "defined"],
        ["pool_backward", "correct"],
        ["lenet5", "not", "defined"],
    ]


@pytest.mark.ci
def test_functions_after_one_that_hangs_or_exits_are_still_graded(tmp_path):
    path = write(
        tmp_path,
        "solution.py",
        "import os, time\n"
        "def conv_forward(*a, **k): os._exit(7)\n"
        "def pool_forward(*a, **k):\n"
        "    while True: time.sleep(0.01)\n" + TEXTBOOK_POOL.replace("def pool_forward", "def other"),
    )
    result = grade(path, timeout=2)
    assert not result.passed
    text = str(result)
    assert "conv_forward(A_prev, W, b, activation, padding, stride) ended the process (status 7)" in text
    assert "pool_forward(A_prev, kernel_shape, stride, mode) did not finish within 2 s" in text
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
    monkeypatch.syspath_prepend(tmp_path)  # so that what `load` puts there is taken away again
    module, message = load(write(tmp_path, "solution.py", source), list(FUNCTIONS))
    assert module is None
    assert bytes(message[1]).decode().startswith(problem)


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("x = 3", "defines none of conv_forward, pool_forward, conv_backward, pool_backward"),
        ("1 / 0", "the file raised ZeroDivisionError in line 1: division by zero"),
        ("import os; os._exit(3)", "the file ended the process (status 3)"),
        ("import time\nwhile True: time.sleep(0.1)", "the file did not finish within 1 s"),
        ("import minicnn", "the file raised ImportError in line 1: minicnn cannot be imported while"),
        ("def conv_forward_naive(x): pass", "defines none of"),
    ],
)
def test_a_file_that_cannot_be_graded_gets_one_sentence(tmp_path, source, problem):
    path = write(tmp_path, "solution.py", source)
    result = grade(path, timeout=1)
    assert not result.passed
    assert str(result).startswith(f"{path}: {problem}")
    assert str(result).count("\n") == 0
    assert ("CS231n" in result.problem) == ("naive" in source)


def test_a_folder_is_graded_file_by_file_and_files_import_what_lies_beside_them(tmp_path):
    write(tmp_path, "0-pool_forward.py", TEXTBOOK_POOL.replace("def pool_backward", "def other"))
    write(
        tmp_path, "1-again.py", "pool_forward = __import__('0-pool_forward').pool_forward\nimport kit.sizes"
    )
    write(tmp_path, "0-main.py", "pool_forward = __import__('0-pool_forward').pool_forward")
    (tmp_path / "2-folder.py").mkdir()
    (tmp_path / "3-nowhere.py").symlink_to("nowhere")
    os.mkfifo(tmp_path / "4-pipe.py")
    (tmp_path / "kit").mkdir()
    write(tmp_path / "kit", "sizes.py", "")
    first, again, folder, nowhere, pipe = grade_all(str(tmp_path))
    assert first.passed
    assert again.passed
    assert set(again.functions) == {"pool_forward"}
    assert "note: it needs what lies beside it: 0-pool_forward.py, which defines pool_forward, too" in (
        " ".join(str(again).split())
    )
    assert not first.note
    assert folder.problem == "is a folder, not a file"
    assert nowhere.problem == "cannot be read: No such file or directory"
    assert pipe.problem == "is not a regular file"


def test_neighbours_do_not_replace_modules_of_the_standard_library(tmp_path):
    write(tmp_path, "random.py", "1 / 0")
    assert grade(write(tmp_path, "solution.py", "import random\nrandom.random()\n" + TEXTBOOK_POOL)).passed


@pytest.mark.ci
def test_a_function_that_hangs_while_its_error_is_explained_keeps_its_verdict(tmp_path):
    # It is wrong in each call; what comes after the search for a failing case, it never answers.
    hang = "import time\ncalls = []\ndef conv_forward(*given):\n    calls.append(1)\n"
    hang += "    time.sleep(0 if given[0].shape != (1, 4, 5, 1) else 9)\n    return given[0] * np.nan\n"
    result = grade(write(tmp_path, "solution.py", "import numpy as np\n" + hang + TEXTBOOK_POOL), timeout=2)
    assert "must have shape" in result.functions["conv_forward"].case or (
        "returned a wrong A" in result.functions["conv_forward"].case
    )
    assert result.functions["pool_backward"].passed


@pytest.mark.parametrize(
    ("name", "timeout"), [("missing.py", 5), ("empty", 5), ("there.py", 0), ("there.py", -1)]
)
def test_wrong_arguments_raise_clear_errors(tmp_path, name, timeout):
    (tmp_path / "empty").mkdir()
    (tmp_path / "there.py").touch()
    with pytest.raises(ValueError, match=r"no such file|no Python file|must be positive"):
        list(grade_all(str(tmp_path / name), timeout))


def test_an_empty_grade_has_not_failed_yet():
    assert str(Grade("x.py", problem="it is empty")) == "x.py: it is empty"
    assert not Grade("x.py", problem="it is empty").passed


def test_a_copy_of_a_folder_has_no_links_and_nothing_hidden(tmp_path):
    for place in ("a.py", "data/x.npy", ".git/config", "venv/pyvenv.cfg", "venv/lib.py", "__pycache__/a.pyc"):
        (tmp_path / "in" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / place).write_text(place)
    (tmp_path / "in" / "link").symlink_to("/etc")
    os.mkfifo(tmp_path / "in" / "pipe")
    assert copy_folder(tmp_path / "in" / "a.py", tmp_path / "out") == "a.py"
    copied = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert copied == {"a.py", "data/x.npy"}


def test_main_programs_of_the_course_are_no_solutions(tmp_path):
    for name in ("0-main.py", "main.py", "1-pool_forward.py", "domain.py"):
        (tmp_path / name).touch()
    assert [path.name for path in solutions(str(tmp_path))] == ["1-pool_forward.py", "domain.py"]
    assert solutions(str(tmp_path / "0-main.py")) == [tmp_path / "0-main.py"]  # it was asked for


def test_a_table_has_a_row_for_each_verdict_and_no_formulas(tmp_path):
    verdicts = {
        "pool_forward": Verdict(True),
        "pool_backward": Verdict(
            False, "mode = 'max'\npool_backward(dA) raised Error: a, b", cause="1/m is left in"
        ),
    }
    with csv_table(str(tmp_path / "all.csv")) as add:
        add(Grade("a.py", functions=verdicts, note="look"))
        add(Grade("=cmd().py", "the file raised OSError"))
        add(Grade("not\udcffunicode.py", "is empty"))
    assert (tmp_path / "all.csv").read_text().splitlines() == [
        ",".join(COLUMNS),
        "a.py,conv_forward,not defined,,,,",
        "a.py,pool_forward,correct,,,,look",
        "a.py,conv_backward,not defined,,,,",
        'a.py,pool_backward,wrong,,1/m is left in,"pool_backward(dA) raised Error: a, b",look',
        "a.py,lenet5,not defined,,,,",
        "'=cmd().py,,not graded,,,the file raised OSError,",
        "not\\udcffunicode.py,,not graded,,,is empty,",
    ]
    assert len(list(rows(Grade("b.py", "is empty")))) == 1


def test_what_is_protected_is_said_in_plain_words():
    assert "without network" in protection(Isolation(True, MEMORY))
    assert "memory (2,048 MB)" in protection(Isolation(True, MEMORY))
    assert "can read, change and delete your files" in protection(Isolation(False, MEMORY))
    assert "(by Landlock)" in protection(Isolation(False, MEMORY, landlock=True))
    assert best_isolation(MEMORY).memory == MEMORY


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs the command setpriv")
def test_a_file_does_not_survive_the_process_that_grades_it(tmp_path):
    if not best_isolation(MEMORY).namespaces:
        pytest.skip("needs user namespaces")
    path = write(tmp_path, "hang.py", "import time\nwhile True: time.sleep(1)")
    command = [sys.executable, "-m", "minicnn", "grade", path]
    grading = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    found = []
    wait_until(lambda: found.extend(confined_by(grading.pid)) or found)
    grading.kill()
    grading.wait()
    wait_until(lambda: not Path("/proc", found[0]).exists())


def confined_by(pid):
    """Return the processes of files: children of the children of a process that run `child.py`."""
    with contextlib.suppress(OSError):  # a process that ends meanwhile
        return [
            confined
            for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            for confined in Path(f"/proc/{child}/task/{child}/children").read_text().split()
            if "child.py" in Path(f"/proc/{confined}/cmdline").read_text()
        ]
    return []


def wait_until(condition):
    for _ in range(600):
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError("30 s are over")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory exist on Linux")
def test_without_namespaces_a_file_is_limited_too(tmp_path, monkeypatch):
    monkeypatch.setattr(
        "minicnn.testing.grade.grading.best_isolation", lambda memory: Isolation(False, memory)
    )
    source = (
        "import numpy as np\ntry:\n    np.zeros(10**9)\nexcept MemoryError:\n    pass\nelse:\n    1 / 0\n"
    )
    assert grade(write(tmp_path, "solution.py", source + TEXTBOOK_POOL)).passed
