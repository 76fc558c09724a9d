"""The result of `profile` as text."""

from collections.abc import Mapping
from typing import Any

from minicnn.plural import counted
from minicnn.profiling.machine import machine_text
from minicnn.profiling.tables import table, wrap

_HEAD = ("layer", "forward", "backward", "share", "MACs", "GFLOP/s", "cached", "output")
_NOTE = (
    "forward, backward: ms; MACs: millions, for the output, dkernel and, except in the first layer, dx; "
    "GFLOP/s: in parentheses the share of the measured peak; cached, output: MB."
)


def profile_text(found: Mapping[str, Any]) -> str:
    """Return a line for each layer, and the totals."""
    head, *rows, total = table([_HEAD, *map(_cells, (*found["layers"], found["total"]))]).splitlines()
    rule = "-" * max(map(len, (head, *rows, total)))
    title = (
        f"Training step on {counted(found['batch_size'], 'image')}, "
        f"median of {counted(found['steps'], 'step')}"
    )
    return "\n".join(
        [machine_text(found["machine"]), "", title, head, rule, *rows, rule, total, "", wrap(_NOTE)]
    )


def _cells(row: Mapping[str, Any]) -> list[str]:
    millions = row["macs"] / 1e6
    computes = millions > 0
    return [
        row["name"],
        f"{row['forward_ms']:.2f}",
        f"{row['backward_ms']:.2f}",
        f"{row['share']:.1%}",
        f"{millions:,.0f}" if millions >= 1000 else f"{millions:.1f}" if computes else "",
        f"{row['gflops']:.0f} ({row['share_of_peak']:.0%})" if computes else "",
        *(f"{row[key] / 1e6:.2f}" for key in ("bytes_cached", "bytes_output")),
    ]
