"""The course's pages: the functions are right, and what is printed of `minicnn grade` is what it says."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
from testing.grade.lenet5_solutions import KERAS
from testing.grade.solutions import caller

from minicnn import functional
from minicnn.testing.grade import grade
from minicnn.testing.grade.report import Grade
from minicnn.testing.grade.verdict import grade_function

COURSE = Path(__file__).parent.parent.parent / "examples" / "course"


def load(name):
    """Return a module of the chapter, whose scripts import each other as files of one folder."""
    spec = importlib.util.spec_from_file_location(name, COURSE / f"{name}.py")
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pages = load("pages")
MISTAKES = [(name, mistake) for name in pages.FUNCTIONS for mistake in pages.mistakes(name)]


def title_of(parameter):
    return parameter.title if isinstance(parameter, pages.Mistake) else parameter


def report_of(text, name):
    """Return the lines of a grade's text that are about a function."""
    lines = text.splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith(f"  {name}"))
    end = next((i for i in range(start + 1, len(lines)) if lines[i][:6].strip()), len(lines))
    return "".join(lines[start:end])


def verdict_of(name, source):
    return grade_function(name, caller(name, pages.function(source, name)))


@pytest.mark.parametrize("name", pages.FUNCTIONS)
def test_the_function_in_loops_is_right(name):
    assert verdict_of(name, pages.solution(name)).passed


@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=title_of)
def test_a_mistake_is_graded_as_the_page_says(name, mistake):
    assert mistake.grade, f"{name}.md prints no grade under {mistake.title!r}"
    verdict = verdict_of(name, mistake.source)
    assert not verdict.passed
    printed = str(Grade("solution.py", functions={name: verdict})) + "\n"
    assert report_of(printed, name).startswith(mistake.grade)


@pytest.mark.campaign
@pytest.mark.parametrize(("name", "mistake"), MISTAKES, ids=title_of)
def test_the_command_says_the_same(name, mistake, tmp_path):
    file = tmp_path / "solution.py"
    file.write_text(mistake.source)
    assert report_of(f"{grade(str(file))}\n", name).startswith(mistake.grade)


@pytest.mark.campaign
@pytest.mark.parametrize(
    ("right", "wrong"),
    [('Dense(10, "softmax"', "Dense(10"), ("Conv2D(16, (5, 5)", 'Conv2D(16, (5, 5), padding="same"')],
)
def test_lenet5_is_graded_as_its_page_says(right, wrong, tmp_path):
    pytest.importorskip("tensorflow")
    assert right in KERAS
    file = tmp_path / "solution.py"
    file.write_text(KERAS.replace(right, wrong))
    printed = report_of(f"{grade(str(file))}\n", "lenet5")
    assert f"```text\n{printed}```" in (COURSE / "lenet5.md").read_text()


def test_the_first_page_shows_a_whole_report(tmp_path, monkeypatch):
    (late,) = [mistake for name, mistake in MISTAKES if mistake.title == "The bias comes too late"]
    monkeypatch.chdir(tmp_path)
    Path("conv_forward.py").write_text(late.source)
    shown = (COURSE / "README.md").read_text().split("```text\n")[1].split("```")[0]
    assert shown == f"{grade('conv_forward.py')}\n"


def test_pictures_draw_what_each_mistake_does():
    sys.path.insert(0, str(COURSE))
    try:
        pictures = load("pictures")
    finally:
        sys.path.remove(str(COURSE))
    for name, trials in pictures.trials().items():
        right = getattr(functional, name)
        for (given, which), mistake in zip(trials, pages.mistakes(name), strict=True):
            wrong = pages.function(mistake.source, name)(*given)
            expected = right(*given)
            one, other = (value[which] if isinstance(value, tuple) else value for value in (wrong, expected))
            assert one.shape != other.shape or np.abs(one - other).max() > 0.1 * np.abs(other).max()
