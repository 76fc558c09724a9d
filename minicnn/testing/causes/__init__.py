"""The usual cause of a wrong gradient, guessed from the analytic and the numeric values of its elements.

Each function of `CAUSES` looks for the traces of one kind of bug, and returns a sentence or "". The first
that finds something names the cause.
"""

from collections.abc import Callable

from minicnn.testing.causes import places, terms, values
from minicnn.testing.causes.evidence import Evidence, axis_names

__all__ = ["CAUSES", "Evidence", "axis_names", "usual_cause"]

CAUSES: tuple[Callable[[Evidence], str], ...] = (
    values.not_finite,
    values.low_precision,
    values.zeros,
    values.single,
    values.sign,
    values.factor,
    places.of_examples,
    places.permuted,
    values.factors,
    terms.partial_sums,
    places.extra,
    places.ranges,
    terms.statistics,
    terms.shortcut,
    terms.general,
)


def usual_cause(evidence: Evidence) -> str:
    """Return the bug that usually causes such differences.

    >>> import numpy as np
    >>> a, n = np.array([-1.0, 2.0]), np.array([1.0, -2.0])
    >>> usual_cause(Evidence(a, n, np.array([True, True]), n, n, of_input=False))
    'wrong sign'
    """
    return next(filter(None, (cause(evidence) for cause in CAUSES)), "")
