"""The result of `bench` as text."""

from collections.abc import Iterator, Mapping
from typing import Any

from minicnn.bench.plan import BENCHMARKS, GROWTH
from minicnn.bench.ratios import format_value, median, ratio, slope
from minicnn.plural import counted
from minicnn.profiling.machine import machine_text
from minicnn.profiling.tables import table, wrap

_NOTE = (
    "Each framework runs in its own process; frameworks take turns. All have the same cores, float32 images, "
    "batch sizes, initial weights and Adam (tinynn and DeZero: their own initial weights). median: over the "
    "rounds; ratio: the framework's value divided by minicnn's of the same round (above 1: minicnn is faster "
    "or smaller), median and range; GFLOP/s: in parentheses the share of the fastest matrix product on as "
    "many cores. PyTorch runs eagerly with fused Adam; where it is measured warm, in the faster of its two "
    "memory layouts. "
    "minicnn also computes the training accuracy, the others do not."
)


def bench_text(results: Mapping[str, Any]) -> str:
    """Return the result of `bench` as text, one table for each benchmark."""
    return "\n\n".join(_sections(results))


def _sections(results: Mapping[str, Any]) -> Iterator[str]:
    settings = results["settings"]
    versions = ", ".join(f"{name} {version}" for name, version in results["peers"].items())
    head = [machine_text(results["machine"])]
    head += [wrap(f"{versions}; {counted(settings['threads'], 'core')} for each")]
    head += [wrap(f"left out: {name}: {reason}") for name, reason in results["missing"].items()]
    if settings["limit"]:
        head.append(f"a trial on at most {counted(settings['limit'], 'image')}: these numbers say little")
    yield "\n".join(head)
    for benchmark, title in BENCHMARKS.items():
        cases = [case for case in results["cases"] if case["benchmark"] == benchmark]
        if cases:
            yield f"{wrap(f'{benchmark}: {title}')}\n{_benchmark_table(cases, results['peaks'])}"
    for title, rows, left in (
        ("epochs until 98 % test accuracy, by round", list(_epochs(results["cases"])), 1),
        ("speed-up: time on one core divided by time on several", list(_speedups(results["cases"])), 2),
        (
            "speed with own layers and loss, of the speed with the framework's",
            list(_own(results["cases"])),
            1,
        ),
        ("slope of the growth on logarithmic axes (1: proportional to size)", list(_slopes(results)), 1),
    ):
        if rows:
            yield f"{title}\n{table(rows, left)}"
    if results["failed"]:
        yield "\n".join(["failed:", *map(wrap, results["failed"])])
    if results["interrupted"]:
        yield "interrupted: results until then"
    yield wrap(_NOTE)


def _benchmark_table(cases: list[dict[str, Any]], peaks: Mapping[str, float]) -> str:
    """Return a table with a row for each framework in each case."""
    rows = [["", "", "median", "ratio", "range", *["GFLOP/s"] * any(case["macs"] for case in cases)]]
    for case in cases:
        title = case["name"]
        for name in sorted(case["values"], key=_is_peer):
            values = case["values"][name]
            cells = [
                title,
                name,
                format_value(median(values), case["unit"]),
                *_spread(case["ratios"].get(name)),
            ]
            rows.append([*cells, _gflops(case, peaks) if name == "minicnn" else ""][: len(rows[0])])
            title = ""
    return table(rows, left=2)


def _is_peer(name: str) -> bool:
    return name != "minicnn"  # as a sort key: minicnn first


def _spread(ratios: Mapping[str, float] | None) -> list[str]:
    """Return the cells of a ratio over the rounds: its median, and its range."""
    if not ratios:
        return ["", ""]
    return [f"{_digits(ratios['median'])}x", f"{_digits(ratios['low'])}-{_digits(ratios['high'])}"]


def _digits(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio < 100 else f"{ratio:,.0f}"


def _gflops(case: Mapping[str, Any], peaks: Mapping[str, float]) -> str:
    seconds = median(case["values"].get("minicnn", []))
    if not seconds or not case["macs"]:
        return ""
    gflops = 2 * case["macs"] / seconds / 1e9
    return f"{gflops:.0f} ({gflops / peaks[str(case['threads'])]:.0%})"


def _epochs(cases: list[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield the rows of a table: the epochs that each framework took to reach the accuracy."""
    for case in cases:
        if case["task"].get("target"):
            for name, answers in case["details"].items():
                yield [name, *(str(answer["epochs"]) for answer in answers)]


def _speedups(cases: list[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield the rows of a table: the speed-up of each framework on several cores, round by round."""
    threads = [case for case in cases if case["benchmark"] == "threads"]
    alone = {case["name"].rpartition(",")[0]: case["values"] for case in threads if case["threads"] == 1}
    several = [case for case in threads if case["threads"] > 1]
    if several:
        yield ["", "", "speed-up", "range"]
        for case in several:
            one = alone[case["name"].rpartition(",")[0]]
            title = case["name"]
            for name in sorted(case["values"], key=_is_peer):
                yield [title, name, *_spread(ratio(one.get(name, []), case["values"][name]))]
                title = ""


def _own(cases: list[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield the rows of a table: the speed of LeNet-5 with a user's ReLU and loss, relative to without."""
    values = {case["task"].get("net"): case["values"] for case in cases if case["benchmark"] == "nets"}
    if "lenet5-own" in values:
        yield ["", "speed", "range"]
        for name in sorted(values["lenet5-own"], key=_is_peer):
            yield [name, *_spread(ratio(values["lenet5"].get(name, []), values["lenet5-own"][name]))]


def growth(results: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Return `sizes`, median `times` and, where there are two, the `slope`; by what grows, by framework."""
    found: dict[str, dict[str, dict[str, Any]]] = {axis: {} for axis in GROWTH}
    for case in results["cases"]:
        if case["benchmark"] == "growth":
            axis, size = case["name"].split()
            for name, values in case["values"].items():
                if (value := median(values)) is not None:
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
