"""The code on this chapter's pages: functions in loops, and mistakes, which are differences to them."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
FUNCTIONS = ("conv_forward", "pool_forward", "conv_backward", "pool_backward")
_PARTS = re.compile(
    r"^### (?P<title>.+?)$"
    r"|^```python\n(?P<python>.*?)^```|^```diff\n(?P<diff>.*?)^```|^```text\n(?P<text>.*?)^```",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Mistake:
    """A mistake: its heading, the code of a file that makes it, and what the page prints of its grade."""

    title: str
    source: str
    grade: str = ""


def solution(name: str) -> str:
    """Return the first Python block of a function's page: the function in loops."""
    return next(part["python"] for part in _parts(name) if part["python"])


def mistakes(name: str) -> list[Mistake]:
    """Return the mistakes on a function's page, in their order."""
    found: list[Mistake] = []
    title = ""
    for part in _parts(name):
        title = part["title"] or title
        if part["diff"]:
            found.append(Mistake(title, _changed(solution(name), part["diff"])))
        elif part["text"] and found:
            found[-1] = Mistake(title, found[-1].source, part["text"])
    return found


def function(source: str, name: str) -> Callable[..., Any]:
    """Return a function that a source defines."""
    namespace: dict[str, Any] = {}
    exec(source, namespace)
    return namespace[name]


def _parts(name: str) -> list[re.Match[str]]:
    return list(_PARTS.finditer((FOLDER / f"{name}.md").read_text(encoding="utf-8")))


def _changed(source: str, difference: str) -> str:
    """Return the source with the line that begins with - replaced by the one that begins with +."""
    (old,) = re.findall(r"^-(.*\n)", difference, re.MULTILINE)
    (new,) = re.findall(r"^\+(.*\n)", difference, re.MULTILINE)
    if source.count(old) != 1:
        raise ValueError(f"the line must stand in the function once: {old}")
    return source.replace(old, new)
