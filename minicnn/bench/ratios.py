"""Statistics of repeated measurements: medians, ratios of pairs, and slopes of growth."""

import math
import statistics
from collections.abc import Sequence

Values = Sequence[float | None]  # one per round; None if it failed


def median(values: Values) -> float | None:
    """Return the median of the values that are not None.

    >>> median([3.0, None, 1.0])
    2.0
    """
    measured = [value for value in values if value is not None]
    return statistics.median(measured) if measured else None


def ratio(theirs: Values, ours: Values) -> dict[str, float] | None:
    """Return the `median`, `low` and `high` of theirs / ours over the rounds; None if there is no pair.

    >>> ratio([4.0, 6.0, None], [2.0, 2.0, 2.0])
    {'median': 2.5, 'low': 2.0, 'high': 3.0}
    """
    pairs = [a / b for a, b in zip(theirs, ours, strict=False) if a is not None and b]
    return {"median": statistics.median(pairs), "low": min(pairs), "high": max(pairs)} if pairs else None


def slope(sizes: Sequence[float], values: Sequence[float]) -> float:
    """Return the slope of the least-squares line on logarithmic axes: 1 if time is proportional to size.

    >>> slope([1, 2, 4], [3.0, 12.0, 48.0])
    2.0
    """
    x, y = [math.log(size) for size in sizes], [math.log(value) for value in values]
    return round(statistics.linear_regression(x, y).slope, 12)


def format_value(value: float | None, unit: str) -> str:
    """Return a measured value with a readable unit.

    >>> format_value(0.000105, "s"), format_value(2.314, "s"), format_value(1460.2, "MB")
    ('105 µs', '2.31 s', '1,460 MB')
    >>> format_value(None, "s")
    '?'
    """
    if value is None:
        return "?"
    if unit == "s":
        factor, unit = next(
            (f, u) for f, u in ((1, "s"), (1e3, "ms"), (1e6, "µs")) if value * f >= 1 or u == "µs"
        )
        value *= factor
    return f"{value:,.0f} {unit}" if value >= 100 else f"{value:.3g} {unit}"
