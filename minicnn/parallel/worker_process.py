"""The process of a worker: a Python interpreter that finds the same modules, and how it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from minicnn.parallel.pickling import PickledModel

if TYPE_CHECKING:
    import subprocess
    from multiprocessing.connection import Connection

# The worker must find this same package, even if the working directory has changed since the import.
_IMPORT_PATH = [os.path.abspath(path) for path in sys.path if isinstance(path, str)]
_ENVIRONMENT = {
    "MINICNN_WORKER": "1",
    **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}


def start(pickled: PickledModel, memory: int, sums: int) -> tuple[Connection, subprocess.Popen]:
    """Start a process that computes shards; return the pipe to it, and the process."""
    # Imported here to keep `import minicnn` fast.
    import subprocess
    import tempfile
    from multiprocessing.connection import Pipe

    pipe, worker_pipe = Pipe()
    with worker_pipe, tempfile.TemporaryFile() as stdin:
        stdin.write(pickled.model + pickled.loss)
        stdin.seek(0)
        descriptors = worker_pipe.fileno(), memory, sums
        program = f"from minicnn.parallel.worker_main import main; main{descriptors}"
        process = subprocess.Popen(
            [sys.executable, "-Pc", program],
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            pass_fds=descriptors,
            process_group=0,  # Ctrl-C must reach only the process that trains
            env=os.environ | _ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(_import_path())},
        )
    return pipe, process


def _import_path() -> list[str]:
    """Return where a worker looks for modules: where this process does."""
    now = [path for path in sys.path if isinstance(path, str)]
    return [*dict.fromkeys([*filter(os.path.isabs, now), *_IMPORT_PATH, *map(os.path.abspath, now)])]


def close(pipe: Connection, process: subprocess.Popen, owner: int) -> None:
    """End the process, if this one is its parent."""
    with contextlib.suppress(OSError):
        pipe.close()
    if os.getpid() == owner:  # a fork of it closes only its copy of the pipe
        process.kill()
        process.wait()
