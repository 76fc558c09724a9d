"""Random layers: noise of training mode that must not change the mean, and masks."""

import math

import numpy as np

from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.report import fail_check

RATES = ("rate", "drop_rate", "dropout_rate", "drop_prob", "p")
FORWARDS = 100  # number of forwards that are averaged
_SCALE_HINT = "in training mode, scale what is kept by 1 / (1 - rate)"
_WEIGHTS_HINT = "in eval mode, weigh the values by the probabilities with which training mode takes them"


def check_noise(target: LayerUnderTest) -> None:
    """Check that a layer whose outputs differ between the modes draws new numbers in each forward."""
    if target.has_statistics:  # they alone may make the modes differ
        return
    for kind in ("positive", "negative"):
        layer, x = target.fresh(), target.draw(kind)
        outputs = np.stack([layer(x.copy()) for _ in range(FORWARDS)])
        in_eval = target.fresh().eval()(x.copy())
        if (outputs != outputs[0]).any():
            if target.inputs is None:
                _check_mean(target, kind, x, in_eval, outputs)
            return
        factor = outputs[0].sum() / in_eval.sum()  # the same for all elements if none was dropped
        if in_eval.any() and not np.allclose(outputs[0], factor * in_eval):
            hint = "the mask is drawn once and kept"
            fail_check("in training mode, every forward uses the same random numbers", "y", hint=hint)


def _check_mean(
    target: LayerUnderTest, kind: str, x: np.ndarray, in_eval: np.ndarray, outputs: np.ndarray
) -> None:
    """Check that the noise keeps the mean where that can be decided."""
    low, high = outputs.min(axis=0), outputs.max(axis=0)
    varies = high - low > 1e-9 * (np.abs(high) + np.abs(low) + 1e-12)
    kept = np.abs(outputs - high) <= 1e-9 * (high - low)
    dropped = np.abs(outputs - low) <= 1e-9 * (high - low)
    if (kept | dropped)[:, varies].all():
        _check_two_values(target, x, in_eval, outputs, varies, kept)
    elif any(p.trainable for p in target.built.parameters()):
        _check_slope(target, in_eval, outputs)
    elif np.isin(outputs, x).all():
        _check_selection(x, in_eval, outputs)
    else:
        _check_factors(target, kind, in_eval, outputs)


def _check_two_values(
    target: LayerUnderTest,
    x: np.ndarray,
    in_eval: np.ndarray,
    outputs: np.ndarray,
    varies: np.ndarray,
    kept: np.ndarray,
) -> None:
    """Check the noise of dropout and stochastic depth: each output has two values, kept or dropped.

    The output in eval mode divides the distance between the two values in a ratio. Where it is the same for
    all elements, it must be the share of the kept ones.
    """
    low, high = outputs.min(axis=0), outputs.max(axis=0)
    if in_eval.shape != low.shape:
        return
    share = (in_eval - low)[varies] / (high - low)[varies]
    # The kept value is the larger one where the output in eval mode is closer to it than to the other.
    flipped = share < 0.5 if np.ptp(share) > 1e-6 else np.zeros(share.shape, bool)
    share = np.where(flipped, 1 - share, share)
    mask = np.where(flipped, ~kept[:, varies], kept[:, varies])  # (forwards, elements)
    if not share.size or np.ptp(share) > 1e-6:
        return
    # What is dropped becomes 0, or leaves the input as it is; elsewhere values move, as in an augmentation.
    inputs = x[varies] if x.shape == low.shape else np.nan
    if share.max() < 1e-6 and np.allclose(high[varies], inputs):  # a branch that lowers all values is dropped
        flipped, share, mask = ~flipped, 1 - share, ~mask
    dropped = np.where(flipped, high[varies], low[varies])
    if np.ptp(dropped) > 1e-9 and not np.allclose(dropped, inputs):
        if x.shape != low.shape and not flipped.any() and share.min() > 1 - 1e-6:
            target.remark("training mode chooses between two outputs, and eval mode always takes the larger")
        return
    _remark_on_shared_masks(target, varies, mask)
    # Elements that were never dropped count too, but for those that nothing drops, such as dead ones.
    always = int((~varies & (np.abs(outputs[0] - in_eval) > 1e-9 * np.abs(in_eval))).sum())
    means = (mask.sum(axis=1) + always * (share.mean() > 0.5)) / (mask.shape[1] + always)
    error = 6 * means.std() / math.sqrt(FORWARDS)
    if abs(means.mean() - share.mean()) <= 1e-3 + error:
        if not flipped.any() and np.ptp(dropped) < 1e-9:
            _remark_on_the_rate(target, float(means.mean()), float(error))
        return
    if not _is_independent(varies, mask):
        target.remark(
            "training mode sets regions of the input to another value, and the mean of the outputs differs "
            "from that in eval mode: right for Cutout and the like, wrong for a dropout"
        )
        return
    what = "outputs in training mode have another mean than those in eval mode"
    size = means.mean() / share.mean()
    fail_check(what, "y", hint=_SCALE_HINT, got=f"{size:.3g} times the mean in eval mode")


def _is_independent(varies: np.ndarray, mask: np.ndarray) -> bool:
    """Return whether neighbours are dropped independently, or whole channels and examples at once."""
    kept = np.ones((len(mask), *varies.shape), bool)  # also what nothing drops
    kept[:, varies] = mask
    axes = range(2, kept.ndim)
    for spatial in ([*axes][:-1], [*axes][1:], [*axes]):
        if spatial and (kept == kept.all(axis=tuple(spatial), keepdims=True))[:, varies].all():
            return True  # whole channels, or whole examples
    return all(_neighbours(kept, axis) < 0.3 for axis in axes)


def _neighbours(kept: np.ndarray, axis: int) -> float:
    """Return the correlation of the masks of neighbours along one axis."""
    if kept.shape[axis] < 2:
        return 0.0
    moved = np.moveaxis(kept - kept.mean(axis=0), axis, -1)
    return float((moved[..., 1:] * moved[..., :-1]).mean() / (moved.var() + 1e-30))


def _remark_on_shared_masks(target: LayerUnderTest, varies: np.ndarray, mask: np.ndarray) -> None:
    if varies.all():
        changes = (mask != mask[:1]).reshape(len(mask), len(varies), -1)
        if (changes == changes[:, :1]).all():
            target.remark("all examples of a batch share one random mask")


def _remark_on_the_rate(target: LayerUnderTest, kept: float, error: float) -> None:
    """Remark on a rate that is the share of what is kept: it usually is that of what is dropped."""
    for name in RATES:
        rate = getattr(target.built, name, None)
        if isinstance(rate, float) and abs(kept - rate) <= 1e-3 + error < abs(1 - kept - rate):
            target.remark(f"`{name}` = {rate:g} is the share of the values that are kept, not dropped")


def _check_slope(target: LayerUnderTest, in_eval: np.ndarray, outputs: np.ndarray) -> None:
    """Check the mean where the layer is affine in eval mode, and its noise vanishes with the input."""
    layer, (one, two) = target.fresh().eval(), (target.draw(), target.draw())
    zero = np.zeros_like(one)
    at_zero = layer(zero)
    affine = np.allclose(layer(one) + layer(two) - at_zero, layer(one + two), rtol=1e-6, atol=1e-9)
    layer = target.fresh()
    if not affine or any(not np.allclose(layer(zero.copy()), at_zero) for _ in range(8)):
        return
    _check_projection(outputs - in_eval, in_eval - at_zero)


def _check_selection(x: np.ndarray, in_eval: np.ndarray, outputs: np.ndarray) -> None:
    """Check that where each output is an input chosen at random, an average in eval mode is their mean."""
    if not np.isin(in_eval, x).any():  # otherwise eval mode chooses too, in its own way
        _check_projection(outputs - in_eval, in_eval, _WEIGHTS_HINT)


def _check_factors(target: LayerUnderTest, kind: str, in_eval: np.ndarray, outputs: np.ndarray) -> None:
    """Check the mean of noise that multiplies each element by a factor of its own."""
    one, two = target.draw(kind), target.draw(kind)
    layer = target.fresh().eval()
    if in_eval.shape != outputs.shape[1:] or in_eval[0].size < 4:
        return
    # Copies of the layer draw the same numbers, so factors that differ depend on the input.
    copies = target.fresh(), target.fresh()
    for _ in range(8):
        first, second = (c(x.copy()) / layer(x.copy()) for c, x in zip(copies, (one, two), strict=True))
        if not np.allclose(first, second, rtol=1e-6, atol=1e-9):
            return
    all_factors = (outputs / in_eval).reshape(len(outputs), len(in_eval), -1)
    within = all_factors - all_factors.mean(axis=2, keepdims=True)
    if within.std() < 0.5 * all_factors.std():
        return  # one factor for an image, as where the brightness is changed
    inverse = 1 / all_factors  # of a division by a random number, eval mode may use the mean of that number
    error = 6 * inverse.mean(axis=(1, 2)).std() / math.sqrt(FORWARDS)
    if error > 0.05 or abs(inverse.mean() - 1) > 1e-3 + error:
        _check_projection(outputs - in_eval, in_eval)


def _check_projection(differences: np.ndarray, direction: np.ndarray, hint: str = _SCALE_HINT) -> None:
    size = float(np.vdot(direction, direction))
    if size == 0:
        return
    shares = np.array([np.vdot(each, direction) for each in differences]) / size
    if shares.std() > 1e-9 and abs(shares.mean()) > 1e-3 + 6 * shares.std() / math.sqrt(FORWARDS):
        what = "outputs in training mode have another mean than those in eval mode"
        fail_check(what, "y", hint=hint, got=f"{1 + shares.mean():.3g} times the mean in eval mode")
