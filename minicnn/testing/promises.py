"""What a layer promises to a Sequential that contains it."""

import numpy as np

from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.passes import run
from minicnn.testing.report import fail_check, worst_index


def check_promises(target: LayerUnderTest) -> None:
    """Check that a layer with `commutes_with_max` never falls, and is flat where it takes equal values."""
    if not target.fresh().commutes_with_max:
        return
    x, dy = target.draw(), target.draw_dy()
    low = run(target.fresh(), x, dy)
    for larger in (np.nextafter(x, np.inf), x + np.abs(target.draw())):
        high = run(target.fresh(), larger, dy)
        falls = low.y - high.y if low.y.shape == x.shape else np.full(x.shape, np.inf)
        if (falls > 0).any():
            index = worst_index(falls)
            facts = {"x": repr(float(x[index])), "larger x": repr(float(larger[index]))}
            hint = "only an elementwise function that never falls may set commutes_with_max"
            fail_check("with a larger x, the output is smaller", "y", index, hint, **facts)
        slope = np.where((falls == 0) & (larger > x), np.abs(low.dx) + np.abs(high.dx), 0.0)
        if slope.any():
            index = worst_index(slope)
            facts = {"x": repr(float(x[index])), "larger x": repr(float(larger[index]))}
            hint = "commutes_with_max: another x wins the maximum than before the exchange, with a gradient"
            fail_check(
                "different x have the same output, but the derivative is not 0", "dx", index, hint, **facts
            )
