"""How much had to be installed."""

from __future__ import annotations

import functools
import re
from importlib import metadata
from pathlib import Path


def installed_mb(*packages: str) -> float:
    """Return the size on the disk, in MB, of packages and of all installed ones that they require.

    Optional requirements (extras) do not count. Files are those that the packages' own records list.
    """
    return round(sum(_size(name) for name in requirements(*packages)) / 1e6, 1)


def requirements(*packages: str) -> set[str]:
    """Return the names of the distributions that packages need to be installed, their own included.

    >>> sorted(requirements("minicnn") & {"minicnn", "numpy", "tensorflow"})
    ['minicnn', 'numpy']
    """
    # The module "tensorflow" is in the distribution "tensorflow", or in "tensorflow_cpu".
    holders = metadata.packages_distributions()
    waiting = [_normal(holders.get(package, [package])[0]) for package in packages]
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


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _is_installed(name: str) -> bool:
    try:
        metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return False  # required on other systems only
    return True


@functools.cache  # TensorFlow is asked for twice, by itself and for Keras: 15,000 files
def _size(name: str) -> int:
    if name == "minicnn":  # where it is being developed, its record lists a link alone
        paths = list(Path(__file__).parents[2].rglob("*"))
    else:
        paths = [Path(str(file.locate())) for file in metadata.files(name) or []]
    return sum(path.stat().st_size for path in paths if path.is_file() and "__pycache__" not in path.parts)
