"""The rounds: who is asked what, when, and what became of it."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.bench.plan import IMAGES, PEERS, SUBJECTS, Case, Plan
from minicnn.bench.process import Process
from minicnn.bench.ratios import format_value, ratio
from minicnn.datasets import load_mnist
from minicnn.models import lenet5
from minicnn.parallel.cores import available_threads
from minicnn.profiling import describe_machine, gemm_peak
from minicnn.validation import check_int

START = 2.5  # seconds, about, until a framework is imported; on two cores


def bench(
    subjects: Collection[str] = tuple(SUBJECTS),
    *,
    rounds: int = 3,
    limit: int | None = None,
    peers: Collection[str] = tuple(PEERS),
    pythons: Mapping[str, str] | None = None,
    threads: int | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure minicnn and its peers, as far as they are installed.

    Parameters
    ----------
    subjects : collection of str
        Of `SUBJECTS`.
    rounds : int
        How often each is asked for each value.
    limit : int, optional
        For a trial: the most images; in the convolutions also the most rows, columns and channels.
    peers : collection of str
        Of `PEERS`; minicnn always takes part.
    pythons : dict of str to str, optional
        The interpreter for a peer that is installed in another virtual environment.
    threads : int, optional
        Cores that each may use; by default all.
    say : callable
        Told a line of text at each step.

    Returns
    -------
    dict
        `settings`; `machine`, see `minicnn.profiling.describe_machine`; `peers`, their versions; `missing`,
        by name how to get it; `cases`: each with `subject`, `name`, `unit`, `threads`, `macs`,
        `values` (by name, one a round, None where it failed), `details`, and `ratios` (by name, of the peer's
        values to ours); `peaks`, the GFLOP/s of matrix products by number of threads; `failed`, sentences;
        `interrupted`: whether Ctrl-C ended it early.

    Raises
    ------
    ValueError
        If there is no such subject or peer, a number is out of range, or minicnn does not run there.
    """
    _check(subjects, SUBJECTS, "subjects")
    _check(peers, PEERS, "peers")
    rounds = check_int(rounds, "rounds", low=1)
    limit = None if limit is None else check_int(limit, "limit", low=12)  # AlexNet's kernel has 11 rows
    threads = available_threads() if threads is None else check_int(threads, "threads", low=1)
    if threads > available_threads():  # they would wait for each other, and not be measured
        raise ValueError(
            f"`threads` must be at most {available_threads()}, the cores there are, got {threads}"
        )
    pythons = dict.fromkeys(PEERS, sys.executable) | dict(pythons or {})
    _check(pythons, PEERS, "pythons")
    with tempfile.TemporaryDirectory() as folder:
        _write_data(Path(folder), limit)

        def start(name: str, threads: int) -> Process:
            return Process(name, PEERS[name][0], threads, Path(folder), pythons[name])

        found, missing = _look_for(["minicnn", *(n for n in PEERS if n in peers and n != "minicnn")], start)
        plan = Plan(tuple(found), threads, limit)
        cases = [case for name in SUBJECTS if name in subjects for case in plan.cases[name]()]
        machine = describe_machine(threads)
        results: dict[str, Any] = {
            "settings": {"rounds": rounds, "limit": limit, "threads": threads},
            "machine": machine,
            "peaks": {str(n): gemm_peak(n) for n in sorted({case.threads for case in cases} - {threads})}
            | {str(threads): machine["gemm_gflops"]},
            "peers": found,
            "missing": missing,
            "failed": [],
            "interrupted": False,
        }
        rows = _Rounds(cases, rounds, start, say, results["failed"])
        try:
            rows.run()
        except KeyboardInterrupt:
            results["interrupted"] = True
        return results | {"cases": rows.results()}


class _Rounds:
    """Runs cases, and keeps what they gave, also if it is interrupted."""

    def __init__(
        self,
        cases: list[Case],
        rounds: int,
        start: Callable[[str, int], Process],
        say: Callable[[str], None],
        failed: list[str],
    ) -> None:
        self.cases, self.rounds, self.start, self.say, self.failed = cases, rounds, start, say, failed
        self.values: list[dict[str, list[float | None]]] = [{} for _ in cases]
        self.details: list[dict[str, Any]] = [{} for _ in cases]
        pairs = {(case.subject, peer, case.threads) for case in cases for peer in case.peers}
        self.left = START * len(pairs) + rounds * sum(case.seconds * len(case.peers) for case in cases)
        self.planned = self.left
        self.began = time.perf_counter()

    def run(self) -> None:
        """Run subject by subject: processes live as long as their subject."""
        self.say(f"This takes about {_minutes(self.left)} on two cores.")
        for subject in dict.fromkeys(case.subject for case in self.cases):
            numbered = [(i, case) for i, case in enumerate(self.cases) if case.subject == subject]
            with contextlib.ExitStack() as stack:
                running: dict[tuple[str, int], Process] = {}
                for turn in range(self.rounds):
                    for i, case in numbered:
                        self._ask_all(i, case, turn, running, stack)

    def _ask_all(
        self,
        i: int,
        case: Case,
        turn: int,
        running: dict[tuple[str, int], Process],
        stack: contextlib.ExitStack,
    ) -> None:
        first = turn % len(case.peers)  # nobody is always the first
        told = []
        for peer in (*case.peers[first:], *case.peers[:first]):
            values = self.values[i].setdefault(peer, [None] * self.rounds)
            if turn and values[0] is None:  # what failed once is not tried again
                continue
            try:
                if case.value != "answer":
                    values[turn], answer = self._ask_fresh(case, peer, turn)
                    self.details[i].setdefault(peer, []).append(answer)
                else:
                    if (peer, case.threads) not in running:
                        process = stack.enter_context(self.start(peer, case.threads))
                        running[peer, case.threads] = process
                    answer = running[peer, case.threads].ask(case.task)
                    values[turn] = answer.pop("value")
                    if answer:
                        self.details[i].setdefault(peer, []).append(answer)
                told.append(f"{peer} {format_value(values[turn], case.unit)}")
            except RuntimeError as error:
                self.failed.append(f"{peer}, {case.subject}, {case.name}: {error}")
                told.append(f"{peer} failed")
        self.left -= case.seconds * len(case.peers)
        passed, done = time.perf_counter() - self.began, self.planned - self.left
        rest = _minutes(self.left * passed / done)
        where = f"{case.subject}, {case.name}, round {turn + 1} of {self.rounds}"
        self.say(f"{where}: {', '.join(told)} ({rest} left)")

    def _ask_fresh(self, case: Case, peer: str, turn: int) -> tuple[float | None, dict[str, Any]]:
        task = case.task | {"seed": turn}  # the same order of the images for all, another in each round
        with self.start(peer, case.threads) as process:
            if case.value == "memory":
                return process.ask_for_memory(task), {}
            answer = process.ask(task)
            return time.perf_counter() - process.started, answer

    def results(self) -> list[dict[str, Any]]:
        """Return what there is of each case."""
        return [
            {
                "subject": case.subject,
                "name": case.name,
                "unit": case.unit,
                "threads": case.threads,
                "macs": case.macs,
                "task": case.task,
                "values": values,
                "details": details,
                "ratios": {
                    peer: ratio(theirs, values.get("minicnn", []))
                    for peer, theirs in values.items()
                    if peer != "minicnn"
                },
            }
            for case, values, details in zip(self.cases, self.values, self.details, strict=True)
            if values
        ]


def _check(names: Collection[str], table: Mapping[str, Any], what: str) -> None:
    for name in names:
        if name not in table:
            raise ValueError(f"`{what}` must be of {', '.join(table)}, got {name!r}")


def _look_for(
    names: list[str], start: Callable[[str, int], Process]
) -> tuple[dict[str, str], dict[str, str]]:
    """Return the versions of those that are installed, and for the others how to get them."""
    found, missing = {}, {}
    for name in names:
        try:
            with start(name, 1) as process:
                found[name] = process.ask({"do": "about"})["value"]
        except (RuntimeError, OSError) as error:
            missing[name] = f"{error}; {PEERS[name][1]}"
    if "minicnn" in missing:
        raise ValueError(f"minicnn itself must run: {missing['minicnn']}")
    return found, missing


def _write_data(folder: Path, limit: int | None) -> None:
    """Write the images, labels and first weights that all load."""
    (x, y), (x_test, y_test) = load_mnist()
    most = IMAGES if limit is None else limit
    for name, array in (("x", x), ("y", y), ("x_test", x_test), ("y_test", y_test)):
        np.save(folder / f"{name}.npy", array[:most])
    for i, weight in enumerate(lenet5().build((28, 28, 1), rng=0).get_weights()):
        np.save(folder / f"weight{i}.npy", weight)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
