"""Imports point one way, which the contracts in setup.cfg hold, and importing the package stays light."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import minicnn

ROOT = Path(minicnn.__file__).parent


def lint_imports(folder):
    """Check the contracts of setup.cfg on the package in a folder."""
    lint = Path(sys.executable).with_name("lint-imports")
    command = [lint, "--no-cache", "--config", ROOT.parent / "setup.cfg"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_the_import_contracts_are_kept():
    result = lint_imports(ROOT.parent)
    assert result.returncode == 0, result.stdout
    assert "6 kept, 0 broken" in result.stdout


# A line in a module, the contract that it breaks, and the chain of imports that is named.
BROKEN = [
    (
        "layers/dense",
        "from minicnn import Trainer",
        "No module imports the package root",
        "minicnn.layers.dense -> minicnn",
    ),
    (
        "ops/pool",
        "def late():\n    import minicnn",
        "No module imports the package root",
        "minicnn.ops.pool -> minicnn",
    ),
    (
        "saving/files",
        "from minicnn.training import Trainer",
        "Imports of the rooms",
        "minicnn.saving.files -> minicnn.training",
    ),
    (
        "parallel/ranks",
        "import minicnn.saving.weights",
        "Imports of the rooms",
        "minicnn.parallel.ranks -> minicnn.saving.weights",
    ),
    (
        "losses",
        "from minicnn.insight import Trace",
        "Imports of the rooms",
        "minicnn.losses -> minicnn.insight",
    ),
    (
        "plots/curves",
        "from minicnn.runs import open_run",
        "Imports of the rooms",
        "minicnn.plots.curves -> minicnn.runs",
    ),
    (
        "layers/conv",
        "from minicnn.layers.dense import Dense",
        "No layer imports another",
        "minicnn.layers.conv -> minicnn.layers.dense",
    ),
    (
        "training/callbacks/csv_logger",
        "from minicnn.training.callbacks.save_best import SaveBest",
        "No callback imports another",
        "minicnn.training.callbacks.csv_logger -> minicnn.training.callbacks.save_best",
    ),
    (
        "training/state",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import minicnn.training.trainer",
        "Each file of training",
        "minicnn.training.state -> minicnn.training.trainer",
    ),
]


@pytest.mark.parametrize(
    ("module", "line", "contract", "chain"),
    [
        case if case[0] in ("layers/dense", "saving/files") else pytest.param(*case, marks=pytest.mark.ci)
        for case in BROKEN
    ],
)
def test_an_import_against_the_contracts_is_found_and_named(tmp_path, module, line, contract, chain):
    without = shutil.ignore_patterns("*.gz", "__pycache__", "static")
    shutil.copytree(ROOT, tmp_path / "minicnn", ignore=without)
    with (tmp_path / "minicnn" / f"{module}.py").open("a") as file:
        file.write(f"\n{line}\n")
    result = lint_imports(tmp_path)
    assert result.returncode == 1
    assert any(line.startswith(contract) and " BROKEN" in line for line in result.stdout.splitlines())
    assert chain in result.stdout


def test_importing_the_package_loads_nothing_heavy():
    heavy = [
        "tensorflow",
        "keras",
        "torch",
        "hypothesis",
        "matplotlib",
        "PIL",
        # numpy.random loads it: a file whose annotations name np.random.Generator leaves them unevaluated.
        "hashlib",
        # With urllib and ipaddress, a twentieth of NumPy's import.
        "pathlib",
        "minicnn.saving",
        "minicnn.training",
        "minicnn.testing",
        "minicnn.cli",
    ]
    code = f"import minicnn, sys; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_training_and_files_are_imported_at_first_use():
    code = (
        "import sys, minicnn; before = 'minicnn.training' in sys.modules; trainer = minicnn.Trainer; "
        "print(before, 'minicnn.training' in sys.modules, minicnn.Trainer is trainer)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["False", "True", "True"]
    with pytest.raises(AttributeError, match="module 'minicnn' has no attribute 'Triner'") as caught:
        minicnn.Triner  # noqa: B018
    # By these, Python prints "Did you mean: 'Trainer'?".
    assert (caught.value.name, caught.value.obj) == ("Triner", minicnn)
    assert set(minicnn.__all__) <= set(dir(minicnn))


MODULES_WITH_ALL = [
    ".".join(("minicnn", *path.parent.relative_to(ROOT).parts))
    for path in sorted(ROOT.rglob("__init__.py"))
    if "__all__" in path.read_text()
]


@pytest.mark.parametrize("module", MODULES_WITH_ALL)
def test_public_names_are_true_unique_and_documented(module):
    __import__(module)
    names = sys.modules[module].__all__
    assert len(set(names)) == len(names)
    for name in names:
        assert getattr(sys.modules[module], name).__doc__, f"{module}.{name} needs a docstring"
