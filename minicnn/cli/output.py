"""What a measuring command leaves in its folder: the numbers, and the picture where it can be drawn."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from minicnn.runs.folder import write_json


def write_results(
    folder: Path, name: str, results: dict[str, Any], draw: Callable[[ModuleType], Any]
) -> None:
    """Write NAME.json and, with matplotlib, NAME.png, which `draw` makes by `minicnn.plots`; say so."""
    write_json(folder / f"{name}.json", results)
    written = [f"{name}.json"]
    try:
        from minicnn import plots
    except ImportError as error:
        print(f"\nno picture: {error}")
    else:
        draw(plots).savefig(folder / f"{name}.png")
        written.append(f"{name}.png")
    print(f"\nwritten to {folder}: {', '.join(written)}")
