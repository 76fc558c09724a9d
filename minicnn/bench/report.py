"""The benchmark as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from minicnn.bench.plan import GROWTH, SUBJECTS
from minicnn.bench.ratios import middle, ratio, slope
from minicnn.bench.run import number
from minicnn.profiling.machine import machine_text
from minicnn.profiling.report import table

_NOTE = """\
Each framework in a process of its own, in turns; the same cores, float32 images, first weights, Adam and
batch sizes (but tinynn and DeZero begin with weights of their own). A value is the median over the rounds.
In brackets: the framework's value divided by minicnn's of the same round (above 1, minicnn is faster or
smaller): median, smallest to largest. GFLOP/s are minicnn's, with the share of the fastest matrix product on
as many cores. PyTorch is eager, its Adam fused; of its two layouts for a convolution the faster one counts.
minicnn counts accuracy while it trains, the others do not."""


def bench_text(results: Mapping[str, Any]) -> str:
    """Return what `bench` found, a table for each subject."""
    return "\n\n".join(_sections(results))


def _sections(results: Mapping[str, Any]) -> Iterator[str]:
    settings = results["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in results["peers"].items())
    head = [machine_text(results["machine"]), f"{versions}; {settings['threads']} core(s) for each"]
    head += [f"left out: {name}: {reason}" for name, reason in results["missing"].items()]
    if settings["limit"]:
        head.append(f"a trial with at most {settings['limit']} images: its numbers say little")
    yield "\n".join(head)
    for subject, title in SUBJECTS.items():
        cases = [case for case in results["cases"] if case["subject"] == subject]
        if cases:
            yield f"{subject}: {title}\n{_subject(cases, results['peaks'])}"
    if epochs := list(_epochs(results["cases"])):
        yield "epochs to 98 %, by round\n" + table(epochs)
    if speedups := list(_speedups(results["cases"])):
        yield "time on one core divided by that on more\n" + table(speedups)
    if slopes := list(_slopes(results)):
        yield "slopes of the growth on logarithmic axes (1: time grows with size)\n" + table(slopes)
    if results["failed"]:
        yield "\n".join(["failed:", *results["failed"]])
    if results["interrupted"]:
        yield "interrupted: this is what there was until then"
    yield _NOTE


def _subject(cases: list[dict[str, Any]], peaks: Mapping[str, float]) -> str:
    names = list(dict.fromkeys(name for case in cases for name in sorted(case["values"], key=_order)))
    speed = ["GFLOP/s", "of peak"] if any(case["macs"] for case in cases) else []
    rows = [["", *names, *speed]]
    for case in cases:
        cells = []
        for name in names:
            text = number(middle(case["values"].get(name, [])), case["unit"])
            between = case["ratios"].get(name)
            cells.append(f"{text} [{_told(between)}]" if between else text if name in case["values"] else "")
        rows.append([case["name"], *cells, *_speed(case, peaks)[: len(speed)]])
    return table(rows)


def _order(name: str) -> bool:
    return name != "minicnn"  # first


def _speed(case: Mapping[str, Any], peaks: Mapping[str, float]) -> list[str]:
    seconds = middle(case["values"].get("minicnn", []))
    if not seconds or not case["macs"]:
        return ["", ""]
    gflops = 2 * case["macs"] / seconds / 1e9
    return [f"{gflops:.0f}", f"{gflops / peaks[str(case['threads'])]:.0%}"]


def _told(between: Mapping[str, float]) -> str:
    return f"{between['median']:.2f}x, {between['low']:.2f} to {between['high']:.2f}"


def _epochs(cases: list[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield the rows of a table: how many epochs each framework took to the accuracy."""
    for case in cases:
        if case["task"].get("target"):
            for name, answers in case["details"].items():
                yield [name, *(str(answer["epochs"]) for answer in answers)]


def _speedups(cases: list[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield the rows of a table: how much faster each framework is on several cores, pair by pair."""
    threads = [case for case in cases if case["subject"] == "threads"]
    alone = {case["name"].rpartition(",")[0]: case["values"] for case in threads if case["threads"] == 1}
    several = [case for case in threads if case["threads"] > 1]
    if several:
        names = list(several[0]["values"])
        yield ["", *names]
        for case in several:
            one = alone[case["name"].rpartition(",")[0]]
            pairs = [ratio(one.get(name, []), case["values"].get(name, [])) for name in names]
            yield [case["name"], *(_told(pair) if pair else "?" for pair in pairs)]


def growth(results: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return `sizes`, median `times` and, where there are two, the `slope`; by what grows, by framework."""
    found: dict[str, dict[str, dict[str, Any]]] = {axis: {} for axis in GROWTH}
    for case in results["cases"]:
        if case["subject"] == "growth":
            axis, size = case["name"].split()
            for name, values in case["values"].items():
                if (value := middle(values)) is not None:
                    line = found[axis].setdefault(name, {"sizes": [], "times": [], "slope": None})
                    line["sizes"].append(int(size))
                    line["times"].append(value)
    for lines in found.values():
        for line in lines.values():
            if len(line["sizes"]) > 1:
                line["slope"] = slope(line["sizes"], line["times"])
    return found


def _slopes(results: Mapping[str, Any]) -> Iterator[list[str]]:
    by_axis = growth(results)
    names = list(dict.fromkeys(name for lines in by_axis.values() for name in lines))
    if names:
        yield ["", *names]
    for axis, lines in by_axis.items() if names else ():
        slopes = [lines.get(name, {}).get("slope") for name in names]
        yield [axis, *("?" if value is None else f"{value:.2f}" for value in slopes)]
