"""The comparison of frameworks: loss curves, their differences, and costs."""

from collections.abc import Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from minicnn.plots.style import DPI, FAINT, INK, ORCHID, SMALL, TEAL, TEXT, WINE, dress, lone_mark

_NAMES = {"minicnn": "minicnn", "tensorflow": "TensorFlow", "keras": "Keras"}
_COLOURS = {"minicnn": TEAL, "tensorflow": ORCHID, "keras": WINE}
_MARKERS = {"minicnn": "o", "tensorflow": "s", "keras": "^"}
# Each curve is thinner than the one below it, so that coinciding curves are all visible.
_WIDTHS = {"minicnn": 6.0, "tensorflow": 3.2, "keras": 1.2}
_COSTS = {
    "step_ms": ("Time per step", "{:.1f} ms"),
    "first_step_s": ("Process start to first step", "{:.1f} s"),
    "peak_memory_mb": ("Peak memory", "{:,.0f} MB"),
    "installed_mb": ("Installed", "{:,.0f} MB"),
}


def comparison(results: Mapping[str, Any]) -> Figure:
    """Draw loss curves, their differences from minicnn's, and costs.

    Parameters
    ----------
    results : mapping
        What `minicnn.interop.compare` returns.

    Returns
    -------
    Figure
    """
    figure = Figure(figsize=(10, 6.2), dpi=DPI, layout="constrained", facecolor="white")
    parts: Any = figure.subfigures(2, 1, height_ratios=[3.6, 1.7])
    above, below = parts
    losses, differences = above.subplots(1, 2)
    _draw_losses(losses, results["curves"])
    _draw_differences(differences, results["curve_differences"], results["rounding"]["minicnn"])
    for axes, (key, (title, form)) in zip(below.subplots(1, len(_COSTS)), _COSTS.items(), strict=True):
        _draw_cost(axes, title, form, {name: cost[key] for name, cost in results["costs"].items()})
    return figure


def _draw_losses(axes: Axes, curves: Mapping[str, Mapping[str, list[float]]]) -> None:
    for name, by_dtype in curves.items():
        losses = by_dtype["float32"]
        axes.plot(
            range(1, len(losses) + 1),
            losses,
            color=_COLOURS[name],
            linewidth=_WIDTHS[name],
            marker=lone_mark(losses),
            label=_NAMES[name],
        )
    dress(axes, "Loss of the same batches, float32", "step", "cross-entropy (nats)")
    _finish(axes)


def _draw_differences(
    axes: Axes, differences: Mapping[str, Mapping[str, list[float]]], rounding: list[float]
) -> None:
    lines = [
        (name, "-" if dtype == "float32" else ":", f"{_NAMES[name]}, {dtype}", values)
        for name, by_dtype in differences.items()
        for dtype, values in by_dtype.items()
    ]
    for name, style, label, values in [*lines, ("minicnn", "-", "own float64, in float32", rounding)]:
        x, y = range(1, len(values) + 1), [max(value, 1e-17) for value in values]
        marks: dict[str, Any] = {"marker": _MARKERS[name], "markersize": 4, "markevery": max(len(y) // 8, 1)}
        axes.plot(x, y, color=_COLOURS[name], linestyle=style, linewidth=1.6, label=label, **marks)
    axes.set_yscale("log")
    dress(axes, "Relative difference of minicnn's loss to ...", "step")
    # The free space is between the float32 and the float64 lines.
    _finish(axes, loc="center right", bbox_to_anchor=(1, 0.35))


def _finish(axes: Axes, **position: Any) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))  # no fractions of a step
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    if axes.lines:
        axes.legend(fontsize=TEXT, labelcolor=INK, frameon=False, **position)


def _draw_cost(axes: Axes, title: str, form: str, costs: Mapping[str, float | None]) -> None:
    """Draw a bar for each framework, with its value; less is better."""
    names = list(costs)[::-1]  # the first on top
    values = [costs[name] or 0.0 for name in names]
    axes.barh([_NAMES[name] for name in names], values, color=[_COLOURS[name] for name in names], height=0.62)
    for row, name in enumerate(names):
        text = "?" if costs[name] is None else form.format(costs[name])
        axes.text(values[row], row, f" {text}", fontsize=SMALL, color=INK, va="center")
    dress(axes)
    axes.set_title(title, fontsize=TEXT, color=INK, loc="left")
    axes.set_xlim(0, 1.6 * max([*values, 1e-9]))
    axes.set_xticks([])
    axes.tick_params(labelsize=SMALL)
    axes.spines["bottom"].set_visible(False)
