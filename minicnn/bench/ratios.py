"""What repeated measurements say: ratios pair by pair, and slopes of growth."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

Values = Sequence[float | None]  # one a round; None where it failed


def middle(values: Values) -> float | None:
    """Return the median of what there is.

    >>> middle([3.0, None, 1.0])
    2.0
    """
    there = [value for value in values if value is not None]
    return statistics.median(there) if there else None


def ratio(theirs: Values, ours: Values) -> dict[str, float] | None:
    """Return the `median`, `low` and `high` of theirs / ours, each of one round; None if there is no pair.

    >>> ratio([4.0, 6.0, None], [2.0, 2.0, 2.0])
    {'median': 2.5, 'low': 2.0, 'high': 3.0}
    """
    pairs = [a / b for a, b in zip(theirs, ours, strict=False) if a is not None and b]
    return {"median": statistics.median(pairs), "low": min(pairs), "high": max(pairs)} if pairs else None


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of the line through the points on logarithmic axes: 1, if time grows with size.

    >>> slope([1, 2, 4], [3.0, 12.0, 48.0])
    2.0
    """
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
    return round(statistics.linear_regression(x, y).slope, 12)
