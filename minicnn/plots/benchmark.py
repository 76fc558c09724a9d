"""The benchmark: ratios of time, memory and size, and the growth of time with size."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator, StrMethodFormatter

from minicnn.plots.style import DPI, FAINT, INK, MUTED, SERIES, SMALL, TEXT, dress

_NAMES = {
    "minicnn": "minicnn",
    "keras": "Keras",
    "torch": "PyTorch",
    "jax": "JAX",
    "tinynn": "tinynn",
    "dezero": "DeZero",
}
_COLOURS = dict(zip(_NAMES, SERIES, strict=True))
_MARKERS = dict(zip(_NAMES, "os^Dvp", strict=True))
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def benchmark(results: Mapping[str, Any], growth: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Draw the ratios of all cases with their range, and the growth, if it was measured.

    Parameters
    ----------
    results : mapping
        The result of `minicnn.bench.bench`.
    growth : mapping
        The growth in it, from `minicnn.bench.report.growth`.

    Returns
    -------
    Figure
    """
    cases = [
        case for case in results["cases"] if case["benchmark"] != "growth" and any(case["ratios"].values())
    ]
    grown = any(growth.values())
    heights = [1.2 + 0.24 * len(cases)] * bool(cases) + [3.4] * grown
    figure = Figure(figsize=(10, max(sum(heights), 2)), dpi=DPI, layout="constrained", facecolor="white")
    parts: Any = figure.subfigures(max(len(heights), 1), 1, height_ratios=heights or [1], squeeze=False)
    if cases:
        _ratios(parts[0, 0].subplots(), cases)
    if grown:
        for axes, (axis, lines) in zip(parts[-1, 0].subplots(1, len(growth)), growth.items(), strict=True):
            _growth(axes, axis, lines)
    return figure


def _ratios(axes: Axes, cases: list[dict[str, Any]]) -> None:
    """Draw a row for each case: a dot for the median of each framework, and a line for the range."""
    drawn: list[float] = []
    names = [name for name in _NAMES if any(case["ratios"].get(name) for case in cases)]
    for k, name in enumerate(names):
        offset = 0.22 * (k - (len(names) - 1) / 2)
        found = [
            (i + offset, case["ratios"][name]) for i, case in enumerate(cases) if case["ratios"].get(name)
        ]
        rows, ratios = zip(*found, strict=True)
        style: dict[str, Any] = {"color": _COLOURS[name], "zorder": 3}
        medians = [ratio["median"] for ratio in ratios]
        axes.hlines(rows, [r["low"] for r in ratios], [r["high"] for r in ratios], linewidth=1.6, **style)
        axes.plot(medians, rows, _MARKERS[name], markersize=5, label=_NAMES[name], **style)
        drawn += medians
    labels = [f"{case['benchmark']}: {case['name']}" for case in cases]
    axes.set_yticks(range(len(cases)), labels)
    axes.set_ylim(len(cases) - 0.4, -0.6)  # the first on top
    axes.set_xscale("log")
    axes.set_xlim(min(0.8, *(0.8 * ratio for ratio in drawn)), max(1.25, *(1.25 * ratio for ratio in drawn)))
    axes.xaxis.set_major_locator(FixedLocator(_TICKS))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.axvline(1, color=MUTED, linewidth=1, zorder=2)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    title = "Time, memory or size divided by minicnn's"
    dress(axes, title, "median over the rounds, with the range as a line; above 1, minicnn needs less")
    axes.tick_params(axis="y", labelsize=SMALL)
    axes.legend(fontsize=TEXT, labelcolor=INK, frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _growth(axes: Axes, axis: str, lines: Mapping[str, Any]) -> None:
    """Draw time in ms over size, on logarithmic axes."""
    ticks: list[int] = []
    for name, line in lines.items():
        milliseconds = [1000 * seconds for seconds in line["times"]]
        label = _NAMES[name] if line["slope"] is None else f"{_NAMES[name]}, slope {line['slope']:.2f}"
        style: dict[str, Any] = {"marker": _MARKERS[name], "markersize": 4, "color": _COLOURS[name]}
        axes.plot(line["sizes"], milliseconds, **style, label=label)
        ticks = line["sizes"]
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.grid(color=FAINT, linewidth=0.6)
    dress(axes, f"Growth with {axis}", axis, "forward + backward (ms)")
    axes.legend(fontsize=SMALL, labelcolor=INK, frameon=False)
