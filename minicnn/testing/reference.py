"""Comparison of a layer with a reference that is known to be right."""

from minicnn.layers.base import Layer
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.passes import run
from minicnn.testing.report import require_equal

_HINT = "another function or convention than that of the reference, such as a flipped kernel"


def check_reference(target: LayerUnderTest) -> None:
    """Check that outputs equal those of the reference, and gradients too if the reference is a layer."""
    if target.reference is None:
        return
    for kind in ("normal", "negative", "positive"):
        x, dy = target.draw(kind), target.draw_dy()
        got = run(target.fresh(), x, dy).arrays()
        if isinstance(target.reference, Layer):
            other = target.build(layer=target.reference)
            other.set_weights(target.built.get_weights())
            expected = dict(zip(got, run(other.train(), x, dy).arrays().values(), strict=True))
            in_eval, expected_in_eval = target.fresh().eval()(x), other.eval()(x)
            what = "in eval mode, y differs from that of the reference"
            require_equal(in_eval, expected_in_eval, what, "y", _HINT)
        else:
            expected = {"y": target.reference(x.copy())}
        for name, array in expected.items():
            what = f"{name} differs from that of the reference, on {kind} inputs"
            require_equal(got[name], array, what, name, _HINT)
