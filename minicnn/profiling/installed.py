"""The installed size of packages."""

import functools
import re
from importlib import metadata
from pathlib import Path


def installed_mb(*packages: str) -> float:
    """Return the size on disk, in MB, of packages and all their installed requirements.

    Optional requirements (extras) do not count. The files are those in the packages' own records.
    """
    return round(sum(_size(name) for name in requirements(*packages)) / 1e6, 1)


def requirements(*packages: str) -> set[str]:
    """Return the names of the distributions that packages are in, and of all that these require.

    >>> sorted(requirements("minicnn") & {"numpy", "tensorflow"})
    ['numpy']
    """
    waiting = [distribution(package) for package in packages]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name in found or not _is_installed(name):
            continue
        found.add(name)
        for requirement in metadata.requires(name) or []:
            if "extra ==" not in requirement:
                waiting.append(_normal(re.split(r"[^\w.-]", requirement, maxsplit=1)[0]))
    return found


@functools.cache
def distribution(package: str) -> str:
    """Return the name of the distribution that a package is in: "tensorflow" may be in "tensorflow-cpu"."""
    return _normal(metadata.packages_distributions().get(package, [package])[0])


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False  # required on other systems only
    return True


@functools.cache  # TensorFlow, 15,000 files, is measured twice: by itself and for Keras
def _size(name: str) -> int:
    if name == distribution("minicnn"):  # the record of an editable installation lists only a link
        paths = list(Path(__file__).parents[1].rglob("*"))
    else:
        paths = [Path(str(file.locate())) for file in metadata.files(name) or []]
    return sum(path.stat().st_size for path in paths if path.is_file() and "__pycache__" not in path.parts)
