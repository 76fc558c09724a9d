"""Output of the commands: files of results, and text that fits the terminal."""

import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

from minicnn.runs.records import write_json


def write_results(folder: Path, name: str, results: Any, draw: Callable[[Any], Any]) -> None:
    """Write NAME.json and, if matplotlib is installed, NAME.png with the figure `draw(results)`."""
    write_json(folder / f"{name}.json", results)
    written = [f"{name}.json"]
    try:
        figure = draw(results)
    except ImportError as error:
        print(f"\nno picture: {error}")
    else:
        figure.savefig(folder / f"{name}.png")
        written.append(f"{name}.png")
    print("\n" + fill(f"written to {folder}: {', '.join(written)}"))


def fill(text: str, name: str = "") -> str:
    """Wrap text to the terminal's width, without breaking words, after a name in the first line."""
    return textwrap.fill(
        text,
        max(shutil.get_terminal_size().columns, len(name) + 20),
        initial_indent=name,
        subsequent_indent=" " * len(name),
        break_long_words=False,
        break_on_hyphens=False,
    )
