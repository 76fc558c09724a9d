"""Chapters: each page shows the pictures beside it, and quoted lines still stand in the package."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SCRIPTS = sorted((ROOT / "examples").glob("*/pictures.py"))
PAGES = sorted((ROOT / "examples").rglob("*.md"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.parent.name)
def test_a_page_shows_the_pictures_that_lie_beside_it(script):
    """That its script makes all of them is seen to by .ci/run."""
    pages = "".join(page.read_text() for page in script.parent.glob("*.md"))
    linked = set(re.findall(r"\]\(([^)/]+\.png)\)", pages))
    assert linked == {path.name for path in script.parent.glob("*.png")}


def quotes(page):
    """Yield (file, run of lines) of each quotation; a line `...` stands for what is left out."""
    for block in re.findall(r"^```py\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE):
        name, *lines = [line.strip() for line in block.splitlines()]
        for run in re.split(r"^\.\.\.$", "\n".join(lines), flags=re.MULTILINE):
            yield name.removeprefix("# "), run.strip("\n")


def stands_in(run, path):
    lines = "\n".join(line.strip() for line in path.read_text().splitlines())
    return run and f"\n{run}\n" in f"\n{lines}\n"


@pytest.mark.parametrize("page", [page for page in PAGES if list(quotes(page))], ids=lambda p: p.parent.name)
def test_quoted_lines_stand_in_the_package(page):
    missing = [(name, run) for name, run in quotes(page) if not stands_in(run, ROOT / name)]
    assert not missing


def test_the_backward_chapter_quotes_each_gradient():
    found = {name for name, _ in quotes(ROOT / "examples" / "backward" / "README.md")}
    assert found == {f"minicnn/ops/{name}.py" for name in ("conv_im2col", "conv_windows", "pool", "windows")}
    assert not stands_in("a line that nobody wrote", ROOT / "minicnn/ops/pool.py")
