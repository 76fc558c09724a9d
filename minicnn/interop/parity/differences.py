"""Differences between arrays, and between curves."""

from collections.abc import Mapping, Sequence

import numpy as np


def relative_difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest absolute difference, divided by the largest absolute value of `theirs`.

    >>> relative_difference(np.array([1.0, 4.0]), np.array([1.0, 5.0]))
    0.2
    """
    largest = float(np.abs(theirs).max())
    return float(np.abs(ours - theirs).max()) / (largest or 1.0)


def compare_layers(
    ours: Mapping[str, np.ndarray], theirs: Mapping[str, np.ndarray]
) -> dict[str, list[dict[str, str | float]]]:
    """Return for each dtype a row per layer: its name, and the difference of each quantity."""
    tables: dict[str, dict[str, dict[str, str | float]]] = {}
    for key, value in ours.items():
        dtype, number, kind, quantity = key.split()
        row = tables.setdefault(dtype, {}).setdefault(number, {"layer": f"{number} {kind}"})
        row[quantity] = relative_difference(value, theirs[f"{dtype} {number} {quantity}"])
    return {dtype: list(rows.values()) for dtype, rows in tables.items()}


def compare_curves(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return |ours - theirs| / theirs at each step.

    >>> compare_curves([1.0, 0.0], [2.0, 0.0])
    [0.5, 0.0]
    """
    return [abs(a - b) / (b or 1.0) for a, b in zip(ours, theirs, strict=True)]
