"""Running a worker, and reading its results."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np


def run_worker(name: str, folder: Path) -> dict[str, Any]:
    """Run the worker of a framework on the task in `folder`; return its `costs`, `curves` and `arrays`.

    Raises
    ------
    RuntimeError
        If it fails; the message is the last line of its standard error.
    """
    # Only log levels and the backend: nothing that changes TensorFlow's speed.
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"} | dict(os.environ)
    command = [
        sys.executable,
        "-m",
        "minicnn.interop.parity.worker",
        name,
        str(folder),
        repr(time.time()),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise RuntimeError(f"it could not run: {lines[-1]}")
    with np.load(folder / f"{name}.npz") as arrays:
        outcome = json.loads((folder / f"{name}.json").read_text())
        return {**outcome, "arrays": dict(arrays)}
