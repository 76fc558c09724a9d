"""The notebook runs from its first cell to its last, and is stored as it ran, without metadata."""

import base64
import re
import runpy
import struct
from pathlib import Path

import nbformat
import pytest

EXAMPLES = Path(__file__).parent.parent.parent / "examples"
TOUR = EXAMPLES / "tour.ipynb"


@pytest.fixture(scope="module")
def stored():
    return nbformat.read(TOUR, as_version=4)


def cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def pictures(notebook):
    outputs = [output for cell in cells(notebook) for output in cell.outputs]
    return [base64.b64decode(o.data["image/png"]) for o in outputs if "image/png" in o.get("data", ())]


def accuracy(notebook):
    texts = [output.get("text", "") for cell in cells(notebook) for output in cell.outputs]
    (percent,) = re.findall(r"^test accuracy: ([\d.]+) %$", "".join(texts), re.MULTILINE)
    return float(percent)


@pytest.mark.ci
def test_the_cells_run_and_their_net_learns(stored, capsys):
    """As they do in a kernel, but without the pictures, which take most of the time."""
    namespace = {}
    for cell in cells(stored):
        source = re.sub("^%.*", "", cell.source, flags=re.MULTILINE)
        exec(compile(source, "cell", "exec"), namespace)
    # With these images a linear model comes to 89.7 %, this net with seeds 0 to 9 to 94.0 to 96.2 %.
    assert namespace["result"]["accuracy"] > 0.93
    assert f"test accuracy: {100 * namespace['result']['accuracy']:.2f} %" in capsys.readouterr().out


@pytest.mark.campaign  # .ci/run runs it, too
def test_the_notebook_runs_and_its_net_learns(stored, tmp_path, monkeypatch):
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    execute = runpy.run_path(str(EXAMPLES / "run_tour.py"))["execute"]
    fresh = nbformat.from_dict(stored)
    for cell in cells(fresh):
        cell.outputs, cell.execution_count = [], None
    execute(fresh)  # raises where a cell does
    assert [cell.execution_count for cell in cells(fresh)] == list(range(1, len(cells(fresh)) + 1))
    assert {output.output_type for cell in cells(fresh) for output in cell.outputs} == {
        "execute_result",
        "stream",
    }
    assert accuracy(fresh) > 93
    assert len(pictures(fresh)) == len(pictures(stored))


def test_the_stored_notebook_is_whole_small_and_without_metadata(stored):
    nbformat.validate(stored)
    assert [cell.execution_count for cell in cells(stored)] == list(range(1, len(cells(stored)) + 1))
    assert accuracy(stored) > 93
    assert len(pictures(stored)) == 12
    for png in pictures(stored):
        width, height = struct.unpack(">II", png[16:24])
        assert width > 500 < height * 4
    assert all(not cell.metadata for cell in stored.cells)
    assert stored.metadata == {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    assert TOUR.stat().st_size < 600_000
