"""The time of a training step, layer by layer."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from minicnn.plots.style import INK, MUTED, ORCHID, SMALL, TEAL, TEXT, dress, figure_of, new_axes
from minicnn.plural import counted


def profile_chart(found: Mapping[str, Any]) -> Figure:
    """Draw a bar for each layer, forward and backward, with its GFLOP/s.

    Parameters
    ----------
    found : mapping
        The result of `minicnn.profiling.profile`.

    Returns
    -------
    Figure
    """
    rows = found["layers"]
    axes = new_axes(8, 1.4 + 0.27 * len(rows))[0]
    names = [row["name"] for row in rows]
    starts = [row["forward_ms"] for row in rows]
    axes.barh(names, starts, color=TEAL, height=0.7, label="forward")
    style: dict[str, Any] = {"left": starts, "color": ORCHID, "hatch": "//", "edgecolor": "white"}
    axes.barh(names, [row["backward_ms"] for row in rows], **style, height=0.7, label="backward")
    for i, row in enumerate(rows):
        text = f" {row['share']:.0%}"
        if row["macs"]:
            text += f"   {row['gflops']:.0f} GFLOP/s, {row['share_of_peak']:.0%} of the peak"
        end = row["forward_ms"] + row["backward_ms"]
        axes.text(end, i, text, fontsize=SMALL, color=MUTED, va="center")
    axes.invert_yaxis()  # the first layer on top
    axes.set_xlim(0, 1.45 * max(row["forward_ms"] + row["backward_ms"] for row in rows))
    whole = found["total"]["forward_ms"] + found["total"]["backward_ms"]
    dress(
        axes,
        f"Training step on {counted(found['batch_size'], 'image')}: {whole:.1f} ms",
        "median time (ms)",
    )
    axes.legend(fontsize=TEXT, labelcolor=INK, frameon=False, loc="lower right")
    return figure_of(axes)
