"""Each Python block of the README and the chapters runs; the README's report and its commands are true."""

import functools
import re
from pathlib import Path

import pytest

from minicnn import datasets
from minicnn.datasets import load_mnist
from minicnn.testing import LayerCheckError

# A Python block, and the block of text that may follow it: what the code prints.
BLOCK = re.compile(r"^```python\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "examples").rglob("*.md"))]


@functools.cache
def first_digits(count):
    """Return the first digits of MNIST's two parts."""
    (x_train, y_train), (x_test, y_test) = load_mnist()
    return (x_train[:count], y_train[:count]), (x_test[: count // 6], y_test[: count // 6])


def ids(path):
    return str(path.relative_to(ROOT))


def longer_in_ci(path):
    """Mark the chapters that train for seconds."""
    chapters = ("first_net", "resume", "training", "your_own_data")
    return pytest.param(path, marks=pytest.mark.ci) if path.parent.name in chapters else path


@pytest.mark.parametrize("digits", [3200, pytest.param(60_000, marks=pytest.mark.campaign)])
@pytest.mark.parametrize("path", [*map(longer_in_ci, DOCUMENTS)], ids=ids)
def test_python_blocks_run(path, digits, capsys, tmp_path, monkeypatch):
    """By default with the first digits of MNIST's two parts: all of them take many times as long."""
    monkeypatch.setattr(datasets, "load_mnist", lambda: first_digits(digits))
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "document"}
    for block, printed in BLOCK.findall(path.read_text()):
        if ">>>" in block:  # those are doctests, and run as such
            continue
        code = compile(block, str(path), "exec")
        if printed.startswith("LayerCheckError: "):  # a layer with a bug, and the report that finds it
            with pytest.raises(LayerCheckError) as caught:
                exec(code, namespace)
            assert f"LayerCheckError: {caught.value}\n" == printed
        else:
            exec(code, namespace)


@pytest.mark.parametrize("path", DOCUMENTS, ids=ids)
def test_local_links_lead_somewhere(path):
    for target in re.findall(r"\]\(([^)#]+)", path.read_text()):
        if "://" not in target:
            assert (path.parent / target).exists(), f"{path} links to {target}"


def test_readme_shows_a_report():
    printed = [
        text for _, text in BLOCK.findall((ROOT / "README.md").read_text()) if "LayerCheckError" in text
    ]
    assert len(printed) == 1
    assert "usual cause" in printed[0]


def test_readme_has_the_two_commands():
    lines = (ROOT / "README.md").read_text().splitlines()
    train, test = (line for line in lines if line.startswith("python3 -m venv .venv && "))
    assert train.endswith(" .venv/bin/minicnn train")
    assert test.endswith(" .venv/bin/pytest")


def test_additions_touch_few_files_which_are_where_contributing_says():
    text = (ROOT / "CONTRIBUTING.md").read_text().split("## Additions\n")[1].split("\n## ")[0]
    found = {}
    for title, steps in re.findall(r"^\*\*(.*)\*\*\n\n((?:\d\. .*\n(?:   .*\n)*)+)", text, re.MULTILINE):
        paths = re.findall(r"^\d\. `([^`]+)`", steps, re.MULTILINE)
        found[title] = len(paths)
        for path in map(Path, paths):
            there = path.parent if path.stem in ("NAME", "FAMILY", "test_NAME") else path
            assert (ROOT / there).exists(), path
    assert found == {"An optimizer": 4, "A callback": 4, "A reader of data sets": 4, "A layer": 5}
