"""Run the notebook tour.ipynb from its first cell to its last, and store it with its outputs.

    python examples/run_tour.py            (needs pip install 'minicnn-numpy[plot]' nbclient ipykernel)

Metadata about the machine and the time is left out, so that the file changes only where its cells do. Edit
it in Jupyter, then run this.
"""

import argparse
import base64
import io
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from PIL import Image

TOUR = Path(__file__).resolve().parent / "tour.ipynb"


def execute(notebook: nbformat.NotebookNode) -> None:
    """Run all cells in a fresh kernel; raise `nbclient.exceptions.CellExecutionError` if one fails."""
    NotebookClient(notebook, timeout=300, kernel_name="python3", record_timing=False).execute()
    for cell in notebook.cells:
        cell.metadata.clear()
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", ()):
                output.data["image/png"] = smaller(output.data["image/png"])
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    notebook.metadata = nbformat.from_dict({"kernelspec": kernel, "language_info": {"name": "python"}})


def smaller(png: str) -> str:
    """Return a PNG, as text in base64, in 256 colours: it looks the same and takes a third of the bytes."""
    file = io.BytesIO()
    picture = Image.open(io.BytesIO(base64.b64decode(png)))
    picture.convert("RGB").quantize(256).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def main(argv: list[str] | None = None) -> None:
    """Run and store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out",
        type=Path,
        default=TOUR,
        metavar="FILE.ipynb",
        help="where to write (default: tour.ipynb itself)",
    )
    path = parser.parse_args(argv).out
    notebook = nbformat.read(TOUR, as_version=4)
    execute(notebook)
    nbformat.write(notebook, path)
    print(f"written to {path}, {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
