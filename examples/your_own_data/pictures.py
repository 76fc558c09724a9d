"""Make the pictures of this chapter: run the page's own code, and draw what becomes of a photograph.

python examples/your_own_data/pictures.py [--out DIR]
"""

import argparse
import contextlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from minicnn.plots.style import INK, MUTED, TEXT, figure_of, new_axes

HERE = Path(__file__).resolve().parent
SAVED = ("batch.png", "confusion.png")


def run_page(folder):
    """Run the Python blocks and the commands of README.md in a folder; return the variables."""
    variables = {"__name__": "page"}
    page = (HERE / "README.md").read_text()
    with contextlib.chdir(folder):
        for kind, block in re.findall(r"^```(python|sh)\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
            if kind == "python":
                exec(block, variables)
                continue
            for line in block.splitlines():
                subprocess.run([sys.executable, "-m", *shlex.split(line)], check=True)
        shutil.copy("runs/shapes/confusion.png", ".")
    return variables


def drawing(photo, digit):
    """Draw a photograph of a digit, and what the net is given."""
    axes = new_axes(7, 4.2, columns=2)
    pictures = (photo, f"the photograph, {photo.width}x{photo.height}"), (digit[..., 0], "the digit, 28x28")
    for ax, (pixels, title) in zip(axes, pictures, strict=True):
        ax.imshow(pixels, cmap="gray", vmin=0, vmax=255)
        ax.set_title(title, fontsize=TEXT, color=INK, loc="left")
        ax.set_xticks([])
        ax.set_yticks([])
        ax.spines[:].set_color(MUTED)
    return figure_of(axes[0])


def main(argv=None):
    """Make all pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where to (default: here)")
    folder = parser.parse_args(argv).out.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        page = run_page(scratch)
        for name in SAVED:
            shutil.copy(Path(scratch, name), folder)
        figure = drawing(page["photo"], np.asarray(page["digit"]))
        figure.savefig(folder / "drawing.png", dpi=100)
        page.clear()  # a memory map is open in it, which Windows does not remove


if __name__ == "__main__":
    main()
