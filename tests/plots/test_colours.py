"""Blue and orange are signs, in every picture and on every page, and nothing else has them."""

import ast
import itertools
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from colour_vision import EYES, contrast, hue_and_chroma, oklab
from matplotlib.colors import is_color_like

from minicnn.plots.style import NEGATIVE, POSITIVE, SERIES, new_axes, series

ROOT = Path(__file__).parents[2]
PYTHON = sorted((ROOT / "minicnn").rglob("*.py")) + sorted((ROOT / "examples").rglob("*.py"))
PAGES = sorted(
    path for path in (ROOT / "minicnn").rglob("*") if path.suffix in (".css", ".js", ".html", ".svg")
)
STYLES = (ROOT / "minicnn/demo/static/style.css").read_text()
APART = 30  # degrees of hue from a sign
GREY = 0.04  # chroma below which a colour has no hue

# All that may have a sign's colour, by the sign's name.
SIGNS = {
    "minicnn/plots/saliency.py": {"POSITIVE"},  # what speaks for the class
    "examples/backward/pictures.py": {"POSITIVE"},  # gradients, like those below
    "examples/conventions/pictures.py": {"UNSIGNED"},
    "examples/course/lenet5_picture.py": {"SIGNED"},  # feature maps
    "examples/course/pictures.py": {"POSITIVE", "SIGNED"},
    "examples/textbook.py": {"SIGNED"},
}


def is_like_a_sign(colour, signs=(POSITIVE, NEGATIVE)):
    hue, chroma = hue_and_chroma(colour)
    turns = [abs((hue - hue_and_chroma(sign)[0] + 180) % 360 - 180) for sign in signs]
    return chroma > GREY and min(turns) < APART


def named_colours(path):
    """Return the names of colours and color maps in a file of Python that look like signs."""
    text = path.read_text()
    if not re.search(r"matplotlib|minicnn\.plots", text):
        return set()
    constants = [node.value for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Constant)]
    strings = {one for one in constants if isinstance(one, str)}
    found = {one for one in strings if re.fullmatch(r"C\d|[a-z: ]{3,}", one) and is_color_like(one)}
    maps = strings & set(matplotlib.colormaps)
    ends = {one: [matplotlib.colormaps[one](end)[:3] for end in (0.0, 0.2, 0.8, 1.0)] for one in maps}
    return {one for one in found if is_like_a_sign(one)} | {
        one for one, colours in ends.items() if any(map(is_like_a_sign, colours))
    }


def hex_colours(path):
    """Return the colours in a file that look like signs, without those that define the signs."""
    text = re.sub(r"--(positive|negative): #\w+|POSITIVE, NEGATIVE = .*", "", path.read_text())
    found = re.findall(r"#(?:[0-9a-fA-F]{6}|[0-9a-fA-F]{3})\b", text)
    return {colour for colour in found if is_like_a_sign(colour)}


def test_hues_are_those_of_the_specification():
    # https://www.w3.org/TR/css-color-4/: lime is oklch(86.644% 0.294827 142.495)
    np.testing.assert_allclose(hue_and_chroma("lime"), [142.495, 0.294827], rtol=1e-4)
    assert oklab("lime")[0] == pytest.approx(0.86644, abs=1e-5)
    assert all(map(is_like_a_sign, ("tab:blue", "C1", "#E69F00")))


def test_colours_of_signs_are_found(tmp_path):
    file = tmp_path / "plot.py"
    file.write_text(
        "import matplotlib\n"
        "ax.plot(x, color='#0072B2'); ax.bar(x, color='tab:orange'); ax.imshow(x, cmap='RdBu')\n"
        "ax.plot(x, color='C0'); ax.plot(x, color='#009E73', label='blues'); ax.imshow(x, cmap='gray')\n"
    )
    assert hex_colours(file) == {"#0072B2"}
    assert named_colours(file) == {"tab:orange", "RdBu", "C0"}


def test_nothing_but_signs_has_the_colours_of_signs():
    found = {path: hex_colours(path) for path in PAGES}
    found |= {path: hex_colours(path) | named_colours(path) for path in PYTHON}
    assert {path: colours for path, colours in found.items() if colours} == {}


def test_signs_are_used_by_name_where_signs_are_meant():
    used = {}
    for path in PYTHON:
        names = set(re.findall(r"\b(POSITIVE|NEGATIVE|SIGNED|UNSIGNED)\b", path.read_text()))
        if names and "minicnn.plots.style import" in path.read_text():
            used[path.relative_to(ROOT).as_posix()] = names
    assert used == SIGNS
    pages = "\n".join(path.read_text() for path in PAGES if path.name != "colours.js")
    assert sorted(re.findall(r"var\(--(positive|negative)\)", pages)) == [
        "negative",
        "positive",
    ]  # the legend
    assert not re.search(r"""["'`]--(positive|negative)""", pages)


def test_series_are_told_apart_by_everybody_and_from_signs():
    assert not any(map(is_like_a_sign, SERIES))
    assert min(contrast(colour, "white") for colour in SERIES) > 3  # WCAG: graphical objects
    for eye, (one, other) in itertools.product(EYES, itertools.combinations(SERIES, 2)):
        assert np.linalg.norm(oklab(one, eye) - oklab(other, eye)) > 0.1, (eye, one, other)
    assert len({str(series(number)["linestyle"]) for number in range(len(SERIES))}) == len(SERIES)


def test_lines_without_a_colour_of_their_own_are_series():
    for ax in new_axes(2, 2, columns=2):
        lines = [ax.plot([0, 1])[0].get_color() for _ in range(7)]
        assert lines == [*SERIES, SERIES[0]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_has_other_colours_beside_the_signs(scheme):
    blocks = re.findall(r":root[^{]*\{([^}]*)\}", STYLES)[:2]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", blocks[scheme == "dark"]))
    signs = colours["positive"], colours["negative"]
    for name in ("accent", "second", "problem"):
        assert not is_like_a_sign(colours[name], signs), name
        for ground in ("page", "card", "zero"):
            assert contrast(colours[name], colours[ground]) > 4.5, (name, ground)
    assert contrast(colours["on-accent"], colours["accent"]) > 4.5
