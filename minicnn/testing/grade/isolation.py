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

_MEGABYTE = 1 << 20
FILE_SIZE, OPEN_FILES, DISK = 16 * _MEGABYTE, 64, 64 * _MEGABYTE
THREADS, TENSORFLOW_MEMORY = 64, 4096 * _MEGABYTE  # of a file that needs TensorFlow
PROCESSES = ["--mount", "--pid", "--fork", "--kill-child", "--net", "--ipc"]


@dataclass(frozen=True)
class Isolation:
    """How processes are confined: by namespaces of Linux or not, by bytes of memory, by number of threads."""

    namespaces: bool
    memory: int
    threads: int = 0  # beside the first

    def for_tensorflow(self) -> "Isolation":
        """Return the same confinement with threads, and with the memory that TensorFlow needs."""
        return replace(self, threads=THREADS, memory=max(self.memory, TENSORFLOW_MEMORY))

    def command(self, scratch: Path, *scripts: Path) -> list[str]:
        """Return the command that runs a script with this confinement; others are its libraries."""
        settings = {
            "namespaces": self.namespaces,
            "hidden": str(Path(__file__).resolve().parents[2]),
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
        if self.namespaces and shutil.which("setpriv"):
            prefix = [
                "setpriv",
                "--pdeathsig",
                "KILL",
                *prefix,
            ]  # ends with this process, also if that is killed
        return [*prefix, sys.executable, "-I", "-B", launcher, json.dumps(settings), *map(str, scripts)]


@cache
def best_isolation(memory: int) -> Isolation:
    """Return the strongest confinement that works on this system."""
    full = Isolation(True, memory)
    attempts = 2 if shutil.which("unshare") else 0  # one may fail since too many processes run now
    return full if any(_works(full) for _ in range(attempts)) else Isolation(False, memory)


def _works(isolation: Isolation) -> bool:
    """Return whether a confined process runs, has its own process ids, and cannot write elsewhere."""
    with tempfile.TemporaryDirectory() as folder:
        scratch, outside = Path(folder, "scratch"), Path(folder, "outside")
        Path(scratch, "folder").mkdir(parents=True)
        probe = Path(folder, "probe.py")
        probe.write_text(_PROBE.format(outside=str(outside)), encoding="utf-8")
        # A busy machine must not look like one without namespaces: an error of the system is raised.
        done = subprocess.run(isolation.command(scratch, probe), capture_output=True, check=False)
        return done.stdout == b"confined" and not outside.exists()


_PROBE = """
import os
def main(folder):
    try:
        open({outside!r}, "w").close()
    except OSError:
        if os.getpid() == 1:
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
            "Each file runs without network, can write only into a scratch folder that is deleted, cannot "
            f"signal other processes, and leaves none behind. {limits} Not protected: it can read the files "
            "that you can read, and import the solutions beside it."
        )
    return (
        f"{limits} Not protected on this system, where user namespaces (of Linux, with the command unshare) "
        "are not available: a file can read, change and delete your files, use the network, stop this "
        "program, and leave processes behind. Grade files that you do not trust in a virtual machine."
    )


def _limits(isolation: Isolation) -> list[str]:
    if sys.platform != "linux":
        return []
    limits = [
        f"memory ({isolation.memory // _MEGABYTE:,} MB)",
        f"size of files ({FILE_SIZE // _MEGABYTE} MB)",
        f"open files ({OPEN_FILES})",
    ]
    return limits if os.getuid() == 0 else [*limits, "processes (no further ones)"]  # root has no such limit
