"""The distributions that setuptools makes of this tree, and what an editable install puts on the path."""

import email
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOP_LEVEL = [
    ".ci/run",
    ".gitignore",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE",
    "MANIFEST.in",
    "README.md",
    "pyproject.toml",
    "setup.cfg",
    "setup.py",
]
FOLDERS = ["examples", "minicnn", "tests"]


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A copy of the tree in a folder called minicnn, as a clone has it."""
    copy = tmp_path_factory.mktemp("clone") / "minicnn"
    (copy / ".ci").mkdir(parents=True)
    for name in TOP_LEVEL:
        shutil.copy(ROOT / name, copy / name)
    for name in FOLDERS:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "crash-*"))
    return copy


@pytest.fixture(scope="module")
def build(source, tmp_path_factory):
    """A function of "sdist", "wheel" or "editable" that builds it from the copy and returns its path."""

    def build(kind):
        out = tmp_path_factory.mktemp(kind)
        call = f"from setuptools import build_meta; build_meta.build_{kind}({str(out)!r})"
        done = subprocess.run([sys.executable, "-c", call], cwd=source, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        (path,) = out.iterdir()
        return path

    return build


@pytest.fixture(scope="module")
def wheel(build):
    with zipfile.ZipFile(build("wheel")) as archive:
        yield archive


@pytest.fixture(scope="module")
def metadata(wheel):
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(wheel.read(name))


@pytest.mark.ci
def test_sdist_has_every_file(build, source):
    with tarfile.open(build("sdist")) as archive:
        packed = {name.partition("/")[2] for name in archive.getnames()}
    files = {path for name in FOLDERS for path in (ROOT / name).rglob("*") if path.is_file()}
    names = {str(path.relative_to(ROOT)) for path in files if "__pycache__" not in path.parts}
    assert {*TOP_LEVEL, *names} - packed == set()


@pytest.mark.ci
def test_wheel_has_data_and_both_licences(wheel):
    names = set(wheel.namelist())
    data = ROOT / "minicnn" / "datasets" / "mnist"
    assert {f"minicnn/datasets/mnist/{path.name}" for path in data.iterdir()} <= names
    assert "minicnn/py.typed" in names
    assert {"minicnn/demo/static/index.html", "minicnn/demo/export/page/answers.js"} <= {*names}
    (mit,) = [name for name in names if name.endswith("/licenses/LICENSE")]
    (cc,) = [
        name for name in names if name.endswith("/licenses/minicnn/datasets/mnist/LICENSE-CC-BY-SA-3.0.txt")
    ]
    assert b"Permission is hereby granted, free of charge" in wheel.read(mit)
    assert b"Attribution-ShareAlike 3.0 Unported" in wheel.read(cc)


def test_wheel_is_called_minicnn_numpy_and_imported_as_minicnn(wheel, metadata):
    assert metadata["Name"] == "minicnn-numpy"
    assert {name.partition("/")[0] for name in wheel.namelist()} == {
        "minicnn",
        f"minicnn_numpy-{metadata['Version']}.dist-info",
    }
    assert metadata["Author"] == "The minicnn developers"
    assert metadata["License-Expression"] == "MIT AND CC-BY-SA-3.0"


def test_extras_name_this_distribution(metadata):
    requirements = metadata.get_all("Requires-Dist")
    own = [line for line in requirements if line.startswith("minicnn")]
    assert own
    assert all(line.startswith("minicnn-numpy[") for line in own)
    assert [line for line in requirements if line.endswith('extra == "images"')] == [
        'Pillow>=10.3; extra == "images"'
    ]


def test_description_is_the_start_of_the_readme_and_stands_alone(metadata):
    text = metadata.get_payload()
    readme = (ROOT / "README.md").read_text()
    assert text.splitlines()[:3] == readme.splitlines()[:3]
    assert "```python" in text
    assert len(text) < len(readme)
    assert re.findall(r"\]\((?!https://)", text) == []
    assert re.findall(r"(?:src|href)=", text) == []


def test_editable_install_is_found_from_the_folder_above_the_clone(build, source, tmp_path):
    zipfile.ZipFile(build("editable")).extractall(tmp_path)
    # -S: no site-packages, so that only the .pth files of this install are read; then NumPy and the like.
    libraries = sysconfig.get_path("purelib")
    script = (
        f"import site, sys; site.addsitedir({str(tmp_path)!r}); sys.path.append({libraries!r})\n"
        "import minicnn; from minicnn import Trainer; print(minicnn.__file__)"
    )
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], cwd=source.parent, env={}, capture_output=True, text=True
    )
    assert done.stdout.strip() == str(source / "minicnn" / "__init__.py"), done.stderr
