"""The speed of this machine: BLAS and its kernel, the measured peak, and limiting environment variables."""

import functools
import json
import os
import subprocess
import sys
import time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from minicnn.cores import available_threads
from minicnn.plural import counted
from minicnn.profiling.tables import wrap
from minicnn.saving.fingerprint import environment

# Variables that make BLAS libraries, NumPy or the frameworks use less than the processor has.
_PREFIXES = (
    "OPENBLAS_",
    "MKL_",
    "OMP_",
    "GOTO_",
    "BLIS_",
    "VECLIB_",
    "KMP_",
    "DNNL_",
    "ONEDNN_",
    "ATEN_CPU_",
)
_SUFFIXES = ("CORETYPE", "NUM_THREADS", "THREAD_LIMIT", "ISA", "CBWR", "INSTRUCTIONS", "CAPABILITY")

_CHILD = "import json; from minicnn.saving.fingerprint import environment as e; print(json.dumps(e()))"


def describe_machine(threads: int = 1) -> dict[str, Any]:
    """Return `cores`, `threads`, `blas` (each library's kernel), `gemm_gflops` and `warnings`.

    The peak is measured once in a process for each number of threads.

    Parameters
    ----------
    threads : int
        Threads of BLAS in the measurement of the peak.
    """
    found = environment()
    return {
        "platform": found["platform"],
        "numpy": found["numpy"],
        "cores": available_threads(),
        "blas": found["blas"],
        "threads": threads,
        "gemm_gflops": _known_peak(threads),
        "warnings": limiting_variables(),
    }


@functools.cache
def _known_peak(threads: int) -> float:
    return gemm_peak(threads)


def gemm_peak(threads: int = 1, seconds: float = 0.5) -> float:
    """Return the GFLOP/s of the fastest of many products of large float32 matrices.

    They are 512x512 and 1,024x1,024: the smaller ones take about a millisecond, and so may run undisturbed on
    a busy machine. A multiplication and an addition are two operations.
    """
    best = 0.0
    with threadpool_limits(threads, "blas"):
        for size in (512, 1024):
            a, b = np.random.default_rng(0).random((2, size, size), np.float32)
            out = np.matmul(a, b)  # untimed: it starts the threads
            end = time.perf_counter() + seconds / 2
            while True:
                start = time.perf_counter()
                np.matmul(a, b, out=out)
                best = max(best, 2 * size**3 / (time.perf_counter() - start) / 1e9)
                if time.perf_counter() > end:
                    break
    return best


def limiting_variables() -> list[str]:
    """Return a warning, if environment variables limit BLAS, NumPy or the frameworks; else an empty list.

    The kernel and the threads of BLAS are compared with those of a process without these variables.
    """
    limiting = {
        name: value
        for name, value in sorted(os.environ.items())
        if (name.startswith(_PREFIXES) and name.endswith(_SUFFIXES)) or name == "NPY_DISABLE_CPU_FEATURES"
    }
    if not limiting:
        return []
    effects = [f"environment variables limit the speed: {' '.join(map('='.join, limiting.items()))}"]
    for ours, free_one in zip(environment()["blas"], _blas_without(*limiting), strict=False):
        if ours["architecture"] != free_one["architecture"]:
            effects.append(
                f"BLAS uses the kernel {ours['architecture']} instead of {free_one['architecture']}, "
                f"its own choice for this processor"
            )
        if ours["num_threads"] < free_one["num_threads"]:
            effects.append(
                f"BLAS starts with {counted(ours['num_threads'], 'thread')} instead of "
                f"{free_one['num_threads']}"
            )
    return ["; ".join(effects)]


@functools.cache
def _blas_without(*variables: str) -> list[dict[str, Any]]:
    """Return the BLAS libraries of a process without these variables; none if it fails."""
    free = {name: value for name, value in os.environ.items() if name not in variables}
    child = subprocess.run([sys.executable, "-c", _CHILD], env=free, capture_output=True, text=True)
    return [] if child.returncode else json.loads(child.stdout)["blas"]


def machine_text(machine: dict[str, Any]) -> str:
    """Return the result of `describe_machine` as lines of text."""
    blas = ", ".join(
        " ".join(str(pool[key]) for key in ("internal_api", "version", "architecture") if pool.get(key))
        for pool in machine["blas"]
    )
    lines = [
        f"NumPy {machine['numpy']}, BLAS {blas or 'unknown'}, {counted(machine['cores'], 'core')}",
        f"peak of matrix products on {counted(machine['threads'], 'thread')}, measured: "
        f"{machine['gemm_gflops']:,.0f} GFLOP/s",
        *(f"WARNING: {warning}" for warning in machine["warnings"]),
    ]
    return "\n".join(map(wrap, lines))
