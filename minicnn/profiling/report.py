"""What `profile` found, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from minicnn.profiling.machine import machine_text


def profile_text(found: Mapping[str, Any]) -> str:
    """Return a line for each layer, and the totals."""
    head = [
        "layer",
        "forward",
        "backward",
        "share",
        "multiply-adds",
        "GFLOP/s",
        "of peak",
        "cached",
        "output",
    ]
    rows = [_cells(row) for row in (*found["layers"], found["total"])]
    title = (
        f"A training step of {found['batch_size']} images: medians of {found['steps']} steps, in ms; "
        f"multiply-adds and megabytes of the batch"
    )
    lines = table([head, *rows]).splitlines()
    rule = "-" * max(map(len, lines))
    note = (
        "forward counts multiply-adds once; backward once for dkernel, and once for dx but in the first layer"
    )
    lines = [machine_text(found["machine"]), "", title, lines[0], rule, *lines[1:-1], rule, lines[-1], note]
    return "\n".join(lines)


def _cells(row: Mapping[str, Any]) -> list[str]:
    computes = row["macs"] > 0
    return [
        row["name"],
        f"{row['forward_ms']:.2f}",
        f"{row['backward_ms']:.2f}",
        f"{row['share']:.1%}",
        f"{row['macs']:,}" if computes else "",
        f"{row['gflops']:.1f}" if computes else "",
        f"{row['share_of_peak']:.0%}" if computes else "",
        *(f"{row[key] / 1e6:.2f}" for key in ("bytes_cached", "bytes_output")),
    ]


def table(rows: Sequence[Sequence[str]]) -> str:
    """Return cells in columns, the first of a line to the left, the others to the right.

    >>> print(table([["layer", "ms"], ["0 Conv2D", "1.25"]]))
    layer       ms
    0 Conv2D  1.25
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows
    )
