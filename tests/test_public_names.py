"""README, chapters and examples import public names only: those in the `__all__` of a public module."""

import ast
import importlib
import json
import pkgutil
import re
from pathlib import Path

import pytest

import minicnn

ROOT = Path(__file__).parent.parent
PUBLIC = [
    "minicnn",
    "minicnn.datasets",
    "minicnn.functional",
    "minicnn.initializers",
    "minicnn.insight",
    "minicnn.interop",
    "minicnn.interop.keras",
    "minicnn.interop.onnx",
    "minicnn.interop.tensorflow",
    "minicnn.interop.torch",
    "minicnn.layers",
    "minicnn.losses",
    "minicnn.metrics",
    "minicnn.models",
    "minicnn.ops",
    "minicnn.optimizers",
    "minicnn.plots",
    "minicnn.plots.style",
    "minicnn.profiling",
    "minicnn.runs",
    "minicnn.saving",
    "minicnn.schedules",
    "minicnn.testing",
    "minicnn.testing.properties",
    "minicnn.testing.strategies",
    "minicnn.training",
]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *(path for kind in ("md", "py", "ipynb") for path in sorted((ROOT / "examples").rglob(f"*.{kind}"))),
]


def code(path):
    """Yield the Python code of a document, block by block."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        yield text
    elif path.suffix == ".ipynb":
        cells = [cell for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
        for cell in cells:
            yield "".join(line for line in cell["source"] if not line.startswith("%"))
    else:
        for block in re.findall(r"^ *```(?:python|pycon)\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
            prompts = [line[4:] for line in block.splitlines() if line.startswith((">>> ", "... "))]
            yield "\n".join(prompts) or block


def private(source):
    """Return the imports of names of minicnn that no public module lists."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "minicnn":
            for name in node.names:
                if f"{node.module}.{name.name}" in PUBLIC:
                    continue
                if node.module not in PUBLIC or name.name not in importlib.import_module(node.module).__all__:
                    found.append(f"from {node.module} import {name.name}")
        elif isinstance(node, ast.Import):
            mine = [name.name for name in node.names if name.name.partition(".")[0] == "minicnn"]
            found += [f"import {name}" for name in mine if name not in PUBLIC]
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_documents_import_public_names(path):
    assert [line for block in code(path) for line in private(block)] == []


def test_a_private_import_is_found():
    assert private("from minicnn.ops.conv import conv2d") == ["from minicnn.ops.conv import conv2d"]
    assert private("from minicnn.losses import _floats") == ["from minicnn.losses import _floats"]
    assert private("def f():\n    import minicnn.parallel.threads") == ["import minicnn.parallel.threads"]
    assert private("from minicnn import bench, plots") == ["from minicnn import bench"]
    assert private("import numpy, minicnn\nfrom minicnn.ops import conv2d") == []


@pytest.mark.parametrize("name", PUBLIC)
def test_all_is_true_and_sorted(name):
    module = importlib.import_module(name)
    names = module.__all__
    assert [each for each in names if not hasattr(module, each)] == []
    assert len(set(names)) == len(names)
    assert [each for each in names if each.startswith("_")] == []


def test_every_public_module_of_the_package_root_is_listed():
    """What is not in the list is meant to be private: a new module must be put on one of the two sides."""
    private_modules = {
        "batch_sums",
        "bench",
        "cli",
        "config",
        "cores",
        "deferred",
        "demo",
        "errors",
        "parallel",
        "parameter",
        "parameter_tree",
        "plural",
        "safeguards",
        "startup",
        "suggestions",
        "validation",
        "version",
    }
    found = {module.name for module in pkgutil.iter_modules(minicnn.__path__)} - {"__main__"}
    listed = {name.split(".")[1] for name in PUBLIC if "." in name}
    assert found - listed - private_modules == set()
