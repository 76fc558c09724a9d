"""The chapter on reading the code is true: the order and the lines of its files, the stack of a step."""

import ast
import re
import sys
import traceback
from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn import SGD, Dense, Layer, Parameter, Sequential, Trainer

ROOT = Path(minicnn.__file__).parent
TEXT = (ROOT.parent / "examples" / "reading_the_code.md").read_text()
STORY = re.findall(r"^\| \[(\S+\.py)\]\(\S+\) \| (\d+) \|", TEXT, re.MULTILINE)
STORY = {name: int(lines) for name, lines in STORY}
APART = [
    (re.findall(r"`(\S+?)`", patterns), int(lines.replace(",", "")))
    for patterns, lines in re.findall(r"^\| (`.*?`) \| ([\d,]+) \|", TEXT, re.MULTILINE)
]
TOOLS = re.search(r"^The tools \((.*?)\)", TEXT, re.MULTILINE | re.DOTALL)[1].replace("`", "").split(", ")
MODULES = {str(path.relative_to(ROOT)): path for path in sorted(ROOT.rglob("*.py"))}
CORE = [name for name in MODULES if re.split(r"[/.]", name)[0] not in TOOLS and "__" not in name]
MOST_LINES = 2700
MOST_FUNCTIONS, MOST_FILES = 5, 3  # between `Trainer.fit` and a layer's `backward`


def code_lines(name):
    """Return the number of lines that are not blank, a comment, or a part of a docstring."""
    source = MODULES[name].read_text(encoding="utf-8")
    docstrings = set()
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            docstrings |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = enumerate(map(str.strip, source.splitlines()), 1)
    return sum(1 for i, line in lines if line and not line.startswith("#") and i not in docstrings)


def imports(name):
    """Return the names of the package's modules that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("minicnn"):
            folder = "/".join(node.module.split(".")[1:])
            found |= {name for each in node.names if (name := f"{folder}/{each.name}.py") in MODULES}
            found |= {f"{folder}.py"} & MODULES.keys()
    return found


def apart():
    """Return the files of each row of the second list, without those of the story and of the rows above."""
    left = [name for name in CORE if name not in STORY]
    for patterns, lines in APART:
        own = [name for name in left if any(matches(name, pattern) for pattern in patterns)]
        left = [name for name in left if name not in own]
        yield own, lines
    assert left == [], "neither read nor skipped in the chapter"


def matches(name, pattern):
    return re.fullmatch(re.escape(pattern).replace(r"\*", r"[^/]*"), name) is not None


def test_the_story_is_short_and_its_lines_are_as_stated():
    assert len(STORY) > 30
    actual = {name: code_lines(name) for name in STORY}
    total = sum(actual.values())
    assert total <= MOST_LINES
    stated = re.search(r"These (\d+) files, about ([\d,]+) lines", TEXT)
    assert int(stated[1]) == len(STORY)
    assert int(stated[2].replace(",", "")) == pytest.approx(total, abs=100)
    wrong = {name: n for name, n in actual.items() if abs(n - STORY[name]) > max(5, n / 7)}
    assert wrong == {}, "the number of lines of these files has changed"


def test_each_file_needs_only_those_before_it_and_those_that_are_skipped():
    skipped = {name for own, _ in apart() for name in own}
    known = set()
    for name in STORY:
        assert imports(name) - skipped <= known, f"{name} comes too early"
        known.add(name)


def test_all_other_files_of_the_core_have_a_place_and_lines_as_stated():
    for own, stated in apart():
        assert own
        assert sum(map(code_lines, own)) == pytest.approx(stated, rel=0.25), own


def long_functions(name):
    """Yield the functions of more than 30 lines, docstring apart, whose docstring does not say why."""
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef):
            docstring = ast.get_docstring(node, clean=False) or ""
            lines = node.end_lineno - node.lineno + 1 - len(docstring.splitlines())
            if lines > 30 and not re.search("[Ff]unction|one place", docstring):
                yield f"{name}: {node.name}"


def test_files_and_functions_of_the_core_are_short_or_say_why():
    assert [name for name in CORE if len(MODULES[name].read_text().splitlines()) > 250] == []
    assert [each for name in CORE for each in long_functions(name)] == []


def test_a_step_has_the_stack_of_the_chapter():
    seen = []

    class Scale(Layer):
        def init_params(self, input_shape, rng):
            self.factor = Parameter(np.ones(1))

        def forward(self, x):
            return self.factor.value * x

        def backward(self, dy):
            codes = [frame.f_code for frame, _ in traceback.walk_stack(sys._getframe())]
            files = [(code.co_qualname, Path(code.co_filename)) for code in reversed(codes)]
            seen[:] = [
                (name, str(path.relative_to(ROOT))) for name, path in files if path.is_relative_to(ROOT)
            ]

    stated = re.findall(r"^\| `([\w.]+)` in `(\S+)` \|", TEXT, re.MULTILINE)
    model = Sequential([Scale(), Dense(2)]).build((3,), rng=0)
    Trainer(model, SGD(), threads=1).fit(np.ones((4, 3)), np.zeros(4, int), verbose=0)
    end = stated.index(("Chain.backward", "layers/_chain.py")) + 1
    assert seen == stated[:end]
    between = stated[1 : end - 1]
    assert len(between) <= MOST_FUNCTIONS
    assert len({file for _, file in between}) <= MOST_FILES
    for name, file in stated[end:]:  # below the layer that looks at the stack
        assert f"def {name.rpartition('.')[2]}(" in MODULES[file].read_text()
