"""The chapter "write your own layer": what it shows as output is what comes out."""

import contextlib
import io
import re
from pathlib import Path

from minicnn.testing import CHECKS

CHAPTER = Path(__file__).parents[2] / "examples" / "your_own_layer.md"


def test_outputs_in_the_chapter_are_real():
    namespace, printed, shown = {"__name__": "chapter"}, "", 0
    for kind, block in re.findall(
        r"^```(python|text)\n(.*?)^```", CHAPTER.read_text(), re.DOTALL | re.MULTILINE
    ):
        if kind == "python":
            with contextlib.redirect_stdout(io.StringIO()) as output:
                exec(compile(block, str(CHAPTER), "exec"), namespace)
            printed = output.getvalue()
        else:
            assert block == printed
            shown += 1
    assert shown == 2


def test_the_chapter_names_every_check_in_order():
    table = re.findall(r"^\| `(\w+)` \|", CHAPTER.read_text(), re.MULTILINE)
    assert table == list(CHECKS)
