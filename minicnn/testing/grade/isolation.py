"""How the processes of learners' files are confined on this system, found out by trying it."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np

from minicnn.testing.grade.filters import landlock_version

_MEGABYTE = 1 << 20
FILE_SIZE, OPEN_FILES, DISK = 16 * _MEGABYTE, 64, 64 * _MEGABYTE
THREADS, TENSORFLOW_MEMORY = 64, 4096 * _MEGABYTE  # of a file that needs TensorFlow
PROCESSES = ["--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc"]


# Packages that compute what the exercises ask for.
ANSWERS = ("scipy", "torch", "tensorflow", "keras", "jax", "jaxlib", "cv2", "skimage", "mxnet", "autograd")


@dataclass(frozen=True)
class Isolation:
    """How processes are confined.

    Attributes
    ----------
    namespaces : bool
        Whether by namespaces of Linux: they see Python and a copy of their folder, and no other process.
    memory : int
        The limit, in bytes.
    threads : int
        That of a file that needs TensorFlow, beside the first.
    landlock : bool
        Whether by Landlock: they can open Python and a copy of their folder only.
    """

    namespaces: bool
    memory: int
    threads: int = 0
    landlock: bool = False

    def for_tensorflow(self) -> "Isolation":
        """Return the same confinement with threads, and with the memory that TensorFlow needs."""
        return replace(self, threads=THREADS, memory=max(self.memory, TENSORFLOW_MEMORY))

    def command(self, scratch: Path, *scripts: Path) -> list[str]:
        """Return the command that runs a script with this confinement; others are its libraries."""
        settings = {
            "namespaces": self.namespaces,
            "landlock": self.landlock,
            "hidden": str(Path(__file__).resolve().parents[2]),
            "answers": [] if self.threads else ANSWERS,
            "scratch": str(scratch),
            "libraries": str(Path(np.__file__).parents[1]),
            "memory": self.memory,
            "threads": self.threads,
            "file_size": FILE_SIZE,
            "open_files": OPEN_FILES,
            "disk": DISK,
        }
        launcher = str(Path(__file__).with_name("sandbox.py"))
        prefix = ["unshare", "--user", "--map-root-user", *PROCESSES] if self.namespaces else []
        if self.namespaces and shutil.which("setpriv"):  # ends with this process, also if that is killed
            prefix = ["setpriv", "--pdeathsig", "KILL", *prefix]
        return [*prefix, sys.executable, "-I", "-B", launcher, json.dumps(settings), *map(str, scripts)]


@cache
def best_isolation(memory: int) -> Isolation:
    """Return the strongest confinement that works on this system."""
    kinds = [Isolation(True, memory)] if shutil.which("unshare") else []
    kinds += [Isolation(False, memory, landlock=True)] if landlock_version() else []
    # One attempt may fail since too many processes run now.
    return next((kind for kind in kinds if _works(kind) or _works(kind)), Isolation(False, memory))


def _works(isolation: Isolation) -> bool:
    """Return whether a confined process runs, and cannot read or write elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        scratch, outside = Path(folder, "scratch"), Path(folder, "outside")
        Path(scratch, "folder").mkdir(parents=True)
        Path(folder, "secret").write_text("secret", encoding="utf-8")
        probe = Path(folder, "probe.py")
        probe.write_text(_PROBE.format(folder=folder), encoding="utf-8")
        # A busy machine must not look like one without namespaces: an error of the system is raised.
        done = subprocess.run(isolation.command(scratch, probe), capture_output=True, check=False)
        return done.stdout == b"confined" and not outside.exists()


_PROBE = """
import os
def main(place):
    open(place + "/inside", "w").close()
    for name, mode in (("outside", "w"), ("secret", "r")):
        try:
            open({folder!r} + "/" + name, mode).close()
        except OSError:
            continue
        return
    os.write(1, b"confined")
"""


def protection(isolation: Isolation) -> str:
    """Say in plain words what is protected from the files, and what is not."""
    limits = f"Limited: {', '.join(['time', *_limits(isolation)])}."
    if sys.platform == "linux":
        memory = max(isolation.memory, TENSORFLOW_MEMORY) // _MEGABYTE
        limits += (
            f" A file with lenet5 gets {memory:,} MB, and {THREADS} threads, since TensorFlow needs them."
        )
    if isolation.namespaces:
        return (
            "Each file runs without network, and sees a copy of its folder, which is deleted, Python and the "
            "system's libraries, but none of your other files and processes. It can start no programs, and "
            f"leaves none behind. {limits} Not protected: the kernel of Linux, which it shares with you."
        )
    if isolation.landlock:
        return (
            "Each file runs without network, and can open a copy of its folder, which is deleted, Python and "
            f"the system's libraries, but none of your other files (by Landlock). It can start no programs. "
            f"{limits} Not protected: it can see which processes run and which files exist; before version 6 "
            "of Landlock, it can stop this program. Where the command unshare may make user namespaces, "
            "processes are kept apart, too."
        )
    return (
        f"{limits} Not protected on this system, which has neither user namespaces (of Linux, with the "
        "command unshare) nor Landlock: a file can read, change and delete your files, use the network, stop "
        "this program, and leave processes behind. Grade files that you do not trust in a virtual machine."
    )


def _limits(isolation: Isolation) -> list[str]:
    if sys.platform != "linux":
        return []
    limits = [
        f"memory ({isolation.memory // _MEGABYTE:,} MB)",
        f"size of files ({FILE_SIZE // _MEGABYTE} MB)",
        f"open files ({OPEN_FILES})",
    ]
    is_root = os.getuid() == 0 and not (isolation.namespaces or isolation.landlock)
    return limits if is_root else [*limits, "processes (no further ones)"]  # root has no such limit
