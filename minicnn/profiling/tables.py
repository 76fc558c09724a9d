"""Tables and paragraphs for the terminal."""

import shutil
import textwrap
from collections.abc import Sequence


def text_width() -> int:
    """Return the columns of the terminal, at least 80."""
    return max(shutil.get_terminal_size((80, 24)).columns, 80)


def table(rows: Sequence[Sequence[str]], left: int = 1, gap: int = 2) -> str:
    """Return cells in aligned columns, the first `left` of them flush left, the others flush right.

    Where a line would be wider than the terminal, a long first cell gets a line of its own.

    >>> print(table([["layer", "ms"], ["0 Conv2D", "1.25"]]))
    layer       ms
    0 Conv2D  1.25
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    widths[0] = min(widths[0], max(text_width() - sum(gap + width for width in widths[1:]), 0))
    lines = []
    for row in rows:
        if len(row[0]) > widths[0]:
            lines.append(row[0])
            row = ["", *row[1:]]
        cells = zip(row, widths, strict=True)
        aligned = [
            cell.ljust(width) if i < left else cell.rjust(width) for i, (cell, width) in enumerate(cells)
        ]
        lines.append((" " * gap).join(aligned).rstrip())
    return "\n".join(lines)


def wrap(text: str) -> str:
    """Return a paragraph in lines that fit the terminal; no word is broken."""
    return textwrap.fill(text, min(text_width(), 100), break_long_words=False, break_on_hyphens=False)
