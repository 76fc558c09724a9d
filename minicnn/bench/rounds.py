"""The rounds of a benchmark: each framework runs each case once per round."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

from minicnn.bench.plan import Case
from minicnn.bench.process import Process
from minicnn.bench.ratios import format_value, ratio

START = 2.5  # seconds: estimate of the import of a framework, on two cores

Start = Callable[[str, int], Process]  # starts the process of a framework with this number of threads


class Rounds:
    """Runs all cases, and keeps their values, also if it is interrupted.

    Parameters
    ----------
    cases : list of Case
        The cases, in order.
    rounds : int
        Number of rounds.
    start : callable
        `f(peer, threads)` starts the process of a framework.
    log : callable
        Called with a line of text after each case.
    """

    def __init__(self, cases: list[Case], rounds: int, start: Start, log: Callable[[str], None]) -> None:
        self.cases, self.rounds, self.start, self.log = cases, rounds, start, log
        self.failed: list[str] = []
        self.values: list[dict[str, list[float | None]]] = [{} for _ in cases]
        self.details: list[dict[str, Any]] = [{} for _ in cases]
        pairs = {(case.benchmark, peer, case.threads) for case in cases for peer in case.peers}
        self.estimate = START * len(pairs) + rounds * sum(case.seconds * len(case.peers) for case in cases)
        self.estimate_left = self.estimate
        self.started = time.perf_counter()

    def run(self) -> None:
        """Run benchmark by benchmark; a process lives as long as its benchmark."""
        self.log(f"This takes about {_minutes(self.estimate)} on two cores.")
        for benchmark in dict.fromkeys(case.benchmark for case in self.cases):
            numbered = [(i, case) for i, case in enumerate(self.cases) if case.benchmark == benchmark]
            with contextlib.ExitStack() as stack:
                running = _Running(self.start, stack)
                for number in range(self.rounds):
                    for i, case in numbered:
                        self._run_case(i, case, number, running)

    def _run_case(self, i: int, case: Case, number: int, running: _Running) -> None:
        """Run a case once in each framework."""
        first = number % len(case.peers)  # each framework is the first in some round
        measured = []
        for peer in (*case.peers[first:], *case.peers[:first]):
            values = self.values[i].setdefault(peer, [None] * self.rounds)
            if number and values[0] is None:  # what failed in the first round is not tried again
                continue
            try:
                values[number], details = self._measure(case, peer, number, running)
                if details:
                    self.details[i].setdefault(peer, []).append(details)
                measured.append(f"{peer} {format_value(values[number], case.unit)}")
            except RuntimeError as error:
                self.failed.append(f"{peer}, {case.benchmark}, {case.name}: {error}")
                measured.append(f"{peer} failed")
        self.estimate_left -= case.seconds * len(case.peers)
        speed = (time.perf_counter() - self.started) / (self.estimate - self.estimate_left)
        where = f"{case.benchmark}, {case.name}, round {number + 1} of {self.rounds}"
        self.log(f"{where}: {', '.join(measured)} ({_minutes(self.estimate_left * speed)} left)")

    def _measure(
        self, case: Case, peer: str, number: int, running: _Running
    ) -> tuple[float | None, dict[str, Any]]:
        """Return the value of a case, and details."""
        if case.measure == "reply":
            reply = running.process(peer, case.threads).request(case.task)
            return reply.pop("value"), reply
        task = case.task | {"seed": number}  # the same order of images for all, another one in each round
        with self.start(peer, case.threads) as process:
            if case.measure == "memory":
                return process.peak_memory(task), {}
            reply = process.request(task)
            return time.perf_counter() - process.started, reply

    def results(self) -> list[dict[str, Any]]:
        """Return the values and ratios of the cases that were run."""
        return [
            {
                "benchmark": case.benchmark,
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


class _Running:
    """The processes of one benchmark, each started when it is first needed."""

    def __init__(self, start: Start, stack: contextlib.ExitStack) -> None:
        self.start, self.stack = start, stack
        self.processes: dict[tuple[str, int], Process] = {}

    def process(self, peer: str, threads: int) -> Process:
        """Return the process of a framework."""
        key = peer, threads
        if key not in self.processes:
            self.processes[key] = self.stack.enter_context(self.start(peer, threads))
        return self.processes[key]


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
