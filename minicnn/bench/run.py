"""Running the benchmarks."""

import json
import sys
import tempfile
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.bench.nets import COLOR, NETS, describe, initial_weights
from minicnn.bench.plan import BENCHMARKS, IMAGES, PEERS, Case, Plan
from minicnn.bench.process import Process
from minicnn.bench.rounds import Rounds, Start
from minicnn.cores import available_threads
from minicnn.datasets import load_mnist
from minicnn.parallel.threads import resolve_threads
from minicnn.profiling import describe_machine, gemm_peak
from minicnn.validation import check_int


def bench(
    benchmarks: Collection[str] = tuple(BENCHMARKS),
    *,
    rounds: int = 3,
    limit: int | None = None,
    peers: Collection[str] = tuple(PEERS),
    pythons: Mapping[str, str] | None = None,
    threads: int | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Compare the speed of minicnn and its peers, as far as they are installed.

    Parameters
    ----------
    benchmarks : collection of str
        Keys of `BENCHMARKS`.
    rounds : int
        Measurements of each value.
    limit : int, optional
        For a trial: maximum number of images; for convolutions also of rows, columns and channels.
    peers : collection of str
        Keys of `PEERS`; minicnn is always included.
    pythons : dict of str to str, optional
        The Python interpreter of a peer that is installed in another virtual environment.
    threads : int, optional
        Cores for each framework; by default all.
    log : callable
        Called with a line of text after each measurement.

    Returns
    -------
    dict
        `settings`; `machine`, see `minicnn.profiling.describe_machine`; `peers`, their versions; `missing`:
        by name, how to install it; `cases`: each with `benchmark`, `name`, `unit`, `threads`, `macs`,
        `values` (by name, one per round, None if it failed), `details`, and `ratios` (by name, the peer's
        values divided by minicnn's); `peaks`: GFLOP/s of matrix products, by number of threads; `failed`:
        error messages; `interrupted`: whether Ctrl-C ended it early.

    Raises
    ------
    ValueError
        If a benchmark or peer is unknown, a number is out of range, or minicnn does not run in its Python.
    """
    _check_names(benchmarks, BENCHMARKS, "benchmarks")
    _check_names(peers, PEERS, "peers")
    _check_names(pythons or {}, PEERS, "pythons")
    rounds = check_int(rounds, "rounds", low=1)
    limit = None if limit is None else check_int(limit, "limit", low=12)  # AlexNet's kernel has 11 rows
    threads, pythons = _check_threads(threads), pythons or {}
    with tempfile.TemporaryDirectory() as folder:

        def start(name: str, threads: int) -> Process:
            return Process(name, PEERS[name][0], threads, Path(folder), pythons.get(name, sys.executable))

        versions, missing = _installed_peers(["minicnn", *(n for n in PEERS if n in peers)], start)
        _write_data(Path(folder), limit)
        plan = Plan(tuple(versions), threads, limit)
        cases = [case for name in BENCHMARKS if name in benchmarks for case in plan.cases[name]()]
        return {
            "settings": {"rounds": rounds, "limit": limit, "threads": threads},
            **_describe_speed(threads, cases),
            "peers": versions,
            "missing": missing,
            **_run(Rounds(cases, rounds, start, log)),
        }


def _run(rounds: Rounds) -> dict[str, Any]:
    """Return the results of all rounds, or of those until Ctrl-C."""
    interrupted = False
    try:
        rounds.run()
    except KeyboardInterrupt:
        interrupted = True
    return {"interrupted": interrupted, "failed": rounds.failed, "cases": rounds.results()}


def _check_names(names: Collection[str], known: Mapping[str, Any], argument: str) -> None:
    for name in names:
        if name not in known:
            raise ValueError(f"`{argument}` must be of {', '.join(known)}, got {name!r}")


def _check_threads(threads: int | None) -> int:
    """Return the number of threads; more than there are cores would wait for each other."""
    threads, cores = resolve_threads(threads), available_threads()
    if threads > cores:
        raise ValueError(f"`threads` must be at most {cores}, the number of available cores, got {threads}")
    return threads


def _describe_speed(threads: int, cases: Collection[Case]) -> dict[str, Any]:
    """Return `machine`, and the `peaks` of matrix products on each number of threads."""
    machine = describe_machine(threads)
    others = {case.threads for case in cases} - {threads}
    peaks = {str(n): gemm_peak(n) for n in sorted(others)}
    return {"machine": machine, "peaks": peaks | {str(threads): machine["gemm_gflops"]}}


def _installed_peers(names: list[str], start: Start) -> tuple[dict[str, str], dict[str, str]]:
    """Return the versions of the installed frameworks, and how to install the others."""
    versions, missing = {}, {}
    for name in dict.fromkeys(names):
        try:
            with start(name, 1) as process:
                versions[name] = process.request({"do": "about"})["value"]
        except (RuntimeError, OSError) as error:
            missing[name] = f"{error}; {PEERS[name][1]}"
    if "minicnn" in missing:
        raise ValueError(f"minicnn itself does not run: {missing['minicnn']}")
    return versions, missing


def _write_data(folder: Path, limit: int | None) -> None:
    """Write the images, labels, nets and initial weights that all frameworks load."""
    (x, y), (x_test, y_test) = load_mnist()
    images = IMAGES if limit is None else limit
    for name, array in (("x", x), ("y", y), ("x_test", x_test), ("y_test", y_test)):
        np.save(folder / f"{name}.npy", array[:images])
    rng = np.random.default_rng(0)
    count = max(net.images for net in NETS.values() if net.input_shape == COLOR)
    np.save(folder / "color_x.npy", rng.integers(0, 256, (count, *COLOR), np.uint8)[:images])
    np.save(folder / "color_y.npy", rng.integers(0, 10, count, np.uint8)[:images])
    for name in NETS:
        (folder / f"{name}.json").write_text(json.dumps(describe(name)))
        for i, weight in enumerate(initial_weights(name)):
            np.save(folder / f"{name}.weight{i:02}.npy", weight)
