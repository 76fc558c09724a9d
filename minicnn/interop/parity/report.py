"""The result of `compare` as text."""

from collections.abc import Iterator, Mapping
from typing import Any

from minicnn.plural import counted
from minicnn.profiling.tables import table, wrap

NAMES = {"minicnn": "minicnn", "tensorflow": "TensorFlow", "keras": "Keras"}
_QUANTITIES = ("output", "dx", "dkernel", "dbias")
_COSTS = {
    "time per step": ("step_ms", "{:.1f} ms"),
    "process start to first step": ("first_step_s", "{:.1f} s"),
    "peak memory while training": ("peak_memory_mb", "{:,.0f} MB"),
    "installed size": ("installed_mb", "{:,.0f} MB"),
    "test accuracy after training": ("test_accuracy", "{:.2%}"),
}


def compare_text(results: Mapping[str, Any]) -> str:
    """Return the tables of the comparison."""
    return "\n\n".join(_sections(results))


def _sections(results: Mapping[str, Any]) -> Iterator[str]:
    settings, others = results["settings"], list(results["layers"])
    yield wrap(
        f"LeNet-5 on MNIST from the same initial weights (seed {settings['seed']}): Adam, "
        f"{counted(settings['steps'], 'step')} on the same batches of "
        f"{counted(settings['batch_size'], 'image')}."
    )
    for name, reason in results["missing"].items():
        yield wrap(f"Left out: {NAMES[name]}; {reason}")
    for dtype in ("float32", "float64") if others else ():
        rows = [["layer", *[*_QUANTITIES, "|"] * len(others)][:-1]]
        for matching in zip(*(results["layers"][name][dtype] for name in others), strict=True):
            cells = [cell for row in matching for cell in (*(_small(row.get(q)) for q in _QUANTITIES), "|")]
            rows.append([matching[0]["layer"], *cells[:-1]])
        names = " (left) and ".join(NAMES[name] for name in others) + " (right)" * (len(others) > 1)
        title = f"Forward and backward pass in {dtype}: largest relative difference to {names}"
        yield f"{wrap(title)}\n{table(rows, gap=1)}"
    title = f"Largest relative difference of the losses in {counted(settings['steps'], 'step')}"
    yield f"{title}\n{table(list(_losses(results)))}"
    costs = results["costs"]
    rows = [["", *(NAMES[name] for name in costs)]]
    for title, (key, form) in _COSTS.items():
        rows.append([title, *("?" if costs[n][key] is None else form.format(costs[n][key]) for n in costs)])
    yield table(rows)


def _losses(results: Mapping[str, Any]) -> Iterator[list[str]]:
    """Yield the rows of the table of loss curves."""
    names = list(results["rounding"])
    yield ["", *(NAMES[name] for name in names)]
    for dtype in ("float64", "float32") if results["curve_differences"] else ():
        theirs = [max(curves[dtype]) for curves in results["curve_differences"].values()]
        yield [f"{dtype}, to minicnn", "", *map(_small, theirs)]
    yield ["float32, to own float64", *(_small(max(results["rounding"][name])) for name in names)]


def _small(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}" if value else "0"
