"""The comparison as text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

NAMES = {"minicnn": "minicnn", "tensorflow": "TensorFlow", "keras": "Keras"}
_QUANTITIES = ("output", "dx", "dkernel", "dbias")
_COSTS = {
    "time per step": ("step_ms", "{:.1f} ms"),
    "process start to first step": ("first_step_s", "{:.1f} s"),
    "peak memory of training": ("peak_memory_mb", "{:,.0f} MB"),
    "size of what is installed": ("installed_mb", "{:,.0f} MB"),
    "test accuracy afterwards": ("test_accuracy", "{:.2%}"),
}


def report(results: Mapping[str, Any]) -> str:
    """Return what `compare` found, as tables."""
    return "\n\n".join(_sections(results))


def _sections(results: Mapping[str, Any]) -> Iterator[str]:
    settings, others = results["settings"], list(results["layers"])
    yield (
        f"LeNet-5 on MNIST: the same first weights (seed {settings['seed']}), Adam, the same "
        f"{settings['steps']} batches of {settings['batch_size']}."
    )
    for name, reason in results["missing"].items():
        yield f"Left out: {NAMES[name]}; {reason}"
    for dtype in ("float32", "float64") if others else ():
        head = ["layer", *(quantity for _ in others for quantity in _QUANTITIES)]
        rows = [
            [first["layer"], *(_small(row.get(q)) for row in (first, *rest) for q in _QUANTITIES)]
            for first, *rest in zip(*(results["layers"][name][dtype] for name in others), strict=True)
        ]
        listed = " (left) and ".join(NAMES[name] for name in others) + " (right)" * (len(others) > 1)
        title = f"One forward and backward in {dtype}: largest relative differences of minicnn to {listed}"
        yield f"{title}\n{_table([head, *rows])}"
    title = f"Largest relative difference of the losses in {settings['steps']} steps"
    yield f"{title}\n{_table(list(_losses(results)))}"
    costs = results["costs"]
    table = [["", *(NAMES[name] for name in costs)]]
    for title, (key, form) in _COSTS.items():
        table.append([title, *("?" if costs[n][key] is None else form.format(costs[n][key]) for n in costs)])
    yield _table(table)


def _losses(results: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the rows of the table of loss curves."""
    names = list(results["rounding"])
    yield ["", *(NAMES[name] for name in names)]
    for dtype in ("float64", "float32") if results["curve_differences"] else ():
        theirs = [max(curves[dtype]) for curves in results["curve_differences"].values()]
        yield [f"{dtype}, to minicnn's", "", *map(_small, theirs)]
    yield ["float32, to its own float64", *(_small(max(results["rounding"][name])) for name in names)]


def _small(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}" if value else "0"


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ([cell.rjust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *line[1:]]).rstrip()
        for row, line in zip(rows, lines, strict=True)
    )
