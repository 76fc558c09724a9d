"""Mutation testing: mutmut makes one small mistake at a time; the tests must notice.

The mistakes are made in a copy of the repository, by the settings in setup.cfg's section [mutmut]. What
survives is judged by hand in RESULTS.md beside this file; a survivor that is not found there fails the test.
"""

import configparser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SETTINGS = configparser.ConfigParser()
SETTINGS.read(HERE.parents[1] / "setup.cfg")


def plain(source):
    """Return a module as mutmut can make use of it.

    It skips what is decorated: properties and cached functions become ordinary ones. And `strict=True`, which
    guards what cannot happen, is left out: each would give three mutants that nothing can tell apart.
    """
    properties = []
    for name, body in re.findall(r"^class (\w+)(.*?)(?=^\S|\Z)", source, re.DOTALL | re.MULTILINE):
        for attribute in re.findall(r"@property\n +def (\w+)", body):
            setter = f", {name}._set_{attribute}" if f"@{attribute}.setter" in body else ""
            properties.append(f"{name}.{attribute} = property({name}._get_{attribute}{setter})\n")
    source = re.sub(r"@property\n +def ", "def _get_", source)
    source = re.sub(r"@\w+\.setter\n +def ", "def _set_", source)
    source = re.sub(r"^@lru_cache.*\n", "", source, flags=re.MULTILINE)
    return source.replace(", strict=True", "") + "".join(properties)


def survivors(mutmut, folder):
    """Yield each survivor as `file: old line -> new line`."""
    results = subprocess.run(
        [*mutmut, "results"], cwd=folder, check=True, capture_output=True, text=True
    ).stdout
    for name in re.findall(r"(\S+): (?:survived|no tests|suspicious)", results):
        shown = subprocess.run(
            [*mutmut, "show", name], cwd=folder, check=True, capture_output=True, text=True
        )
        file, diff = re.search(r"^--- (\S+)\n(?:.*\n){2}((?s:.*))", shown.stdout, re.MULTILINE).groups()
        old, new = (
            " ".join(line[1:].strip() for line in diff.splitlines() if line.startswith(sign)) for sign in "-+"
        )
        yield f"{file}: {old} -> {new}"


@pytest.mark.campaign
def test_mutants_die(tmp_path):
    pytest.importorskip("mutmut")
    root = HERE.parents[1]
    for name in ("minicnn", "tests"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.gz"))
    for name in ("setup.cfg", "pyproject.toml"):
        shutil.copy(root / name, tmp_path)
    for pattern in SETTINGS["mutmut"]["only_mutate"].split():
        for path in tmp_path.glob(pattern):
            path.write_text(plain(path.read_text()))
    mutmut = [sys.executable, "-m", "mutmut"]
    for command in (["run", "--max-children", "1"], ["export-cicd-stats"]):
        subprocess.run([*mutmut, *command], cwd=tmp_path, check=True, stdout=subprocess.DEVNULL)
    counts = json.loads((tmp_path / "mutants" / "mutmut-cicd-stats.json").read_text())
    judged = (HERE / "RESULTS.md").read_text()
    unjudged = [line for line in survivors(mutmut, tmp_path) if line not in judged]
    print(counts, *unjudged, sep="\n")
    assert not unjudged
    assert counts["killed"] + counts["timeout"] + counts["segfault"] >= 0.95 * counts["total"]
