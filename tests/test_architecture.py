"""Imports point one way, and importing the package stays light."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import minicnn

ROOT = Path(minicnn.__file__).parent

# What each part may import of the package, besides itself.
LEAVES = {"version", "errors", "plural", "validation", "parameter"}
BASICS = LEAVES | {"ops", "initializers", "losses", "metrics", "schedules", "datasets"}
CORE = BASICS | {"layers", "optimizers", "models", "saving", "parallel", "training"}
ALLOWED = {
    "version": set(),
    "errors": set(),
    "plural": set(),
    "validation": {"errors"},
    "parameter": set(),
    "ops": {"validation"},
    "initializers": {"validation"},
    "schedules": {"validation"},
    "losses": {"validation", "ops"},
    "metrics": {"validation", "ops"},
    "datasets": LEAVES,
    "optimizers": BASICS,
    "layers": BASICS,
    "models": BASICS | {"layers"},
    "saving": BASICS | {"layers"},
    "parallel": BASICS | {"layers"},
    "training": CORE - {"models"},
    "functional": BASICS,
    "insight": CORE,
    "plots": CORE | {"insight"},
    "testing": CORE | {"functional"},
    "interop": CORE | {"runs", "profiling"},
    "runs": CORE | {"plots", "profiling"},
    "profiling": CORE,
    "demo": CORE | {"insight", "runs"},
    "bench": CORE | {"profiling"},
    "cli": CORE | {"plots", "testing", "interop", "runs", "functional", "profiling", "demo", "bench"},
    "__main__": {"cli"},
    "__init__": CORE,
}


def imported(path):
    """Yield the dotted names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def part_of(path):
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_one_way(path):
    part = part_of(path)
    for name in imported(path):
        if name == "minicnn" and part in ("testing", "cli", "runs", "interop"):
            continue
        if name.startswith("minicnn."):
            other = name.split(".")[1]
            if (ROOT / other).exists() or (ROOT / f"{other}.py").exists():
                assert other == part or other in ALLOWED[part], f"{path}: {part} must not import {other}"


def test_no_layer_imports_another():
    for path in (ROOT / "layers").glob("*.py"):
        if path.name != "__init__.py":
            layers = {n.split(".")[2] for n in imported(path) if n.startswith("minicnn.layers.")}
            assert layers <= {"base", "summary", "_prediction", "_tree"}, (
                f"{path} must know Layer only, imports {layers}"
            )


def test_importing_the_package_loads_nothing_heavy():
    heavy = [
        "tensorflow",
        "keras",
        "torch",
        "hypothesis",
        "matplotlib",
        "PIL",
        "hashlib",
        "minicnn.testing",
        "minicnn.cli",
    ]
    code = f"import minicnn, sys; print([m for m in {heavy} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


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
