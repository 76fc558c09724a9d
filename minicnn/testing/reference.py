"""A layer against another that is known to be right."""

from __future__ import annotations

from minicnn.layers.base import Layer
from minicnn.testing.layer_under_test import LayerUnderTest, run
from minicnn.testing.report import require_equal


def check_reference(subject: LayerUnderTest) -> None:
    """Check that the layer equals its reference: outputs, and gradients where the reference is a layer."""
    if subject.reference is None:
        return
    for kind in ("normal", "negative", "positive"):
        x, dy = subject.draw(kind), subject.draw_dy()
        got = run(subject.fresh(), x, dy).arrays()
        if isinstance(subject.reference, Layer):
            other = subject.build(layer=subject.reference)
            other.set_weights(subject.built.get_weights())
            expected = dict(zip(got, run(other.train(), x, dy).arrays().values(), strict=True))
            calm, expected_calm = subject.fresh().eval()(x), other.eval()(x)
            require_equal(calm, expected_calm, "in eval mode y must equal the reference's", "y")
        else:
            expected = {"y": subject.reference(x.copy())}
        for name, array in expected.items():
            require_equal(got[name], array, f"{name} must equal the reference's on {kind} inputs", name)
