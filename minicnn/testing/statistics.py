"""Batch statistics of images, which belong to channels and not to pixels."""

import copy
import math
from collections.abc import Callable, Iterator

import numpy as np

from minicnn.testing.layer_under_test import LAYOUTS, LayerUnderTest
from minicnn.testing.report import CheckFailed, require_equal
from minicnn.testing.windows import rows_columns

MANY = 64  # examples of a batch that a layer may divide


def check_statistics(target: LayerUnderTest) -> None:
    """Check that batch statistics of images are over examples, rows and columns, not pixel by pixel.

    Only layers that treat all pixels alike in eval mode and mix examples in training mode are checked.
    """
    layer = target.built
    if len(target.input_shape) != 3 or layer.output_shape != layer.input_shape or target.random:
        return
    if not target.has_statistics or list(layer.named_layers()):
        return
    moved = target.fresh()  # with running statistics that differ between the channels
    for _ in range(2):
        moved(target.draw(examples=4) * np.linspace(0.5, 2, target.input_shape[-1]))
    failure: CheckFailed | None = None
    for shuffled in _shuffles(target):
        in_eval = copy.deepcopy(moved).eval()
        # Wide inputs as well: behind dead ReLUs a convolution would stay invisible.
        inputs = (target.draw(examples=4), target.draw("wide", examples=4))
        if not all(
            np.allclose(in_eval(shuffled(z)), shuffled(in_eval(z)), rtol=1e-9, atol=1e-12) for z in inputs
        ):
            continue
        message = "pixels are treated alike in eval mode, but not in training mode"
        hint = "mean and variance over axis 0 only; for images they are over axes (0, 1, 2)"
        x = inputs[0]
        try:
            require_equal(target.fresh()(shuffled(x)), shuffled(target.fresh()(x)), message, "y", hint)
            return
        except CheckFailed as failed:
            failure = failure or failed
    if failure is None:
        return
    mixed = mixed_examples(target)
    if mixed == "some":
        target.remark("training mode normalizes parts of the batch, each by itself")
        return
    if mixed == "none" and averages_fit_each_example(target):
        return  # an instance normalization: the check of modes compares its averages
    if mixed == "none":
        failure.failure.hint = (
            "statistics of each image in training mode, and running ones of the whole batch in eval mode"
        )
    raise failure


def averages_fit_each_example(target: LayerUnderTest) -> bool:
    """Return whether running averages ignore what training mode ignores: other means of the examples.

    For layers that normalize each example by itself. A variance of the whole batch grows with the distances
    between its examples, unlike the mean of their variances.
    """
    if target.inputs is not None:
        return True  # shifted inputs may be invalid
    drawn = target.drawn
    x, z = target.draw(examples=MANY), target.draw()
    target.drawn = drawn
    shifts = np.where(np.arange(MANY) % 2, 3.0, -3.0).reshape(-1, *[1] * (x.ndim - 1))
    one, other = target.fresh(), target.fresh()
    if not np.allclose(one(x.copy()), other(x + shifts), rtol=1e-6, atol=1e-9):
        return True
    return np.allclose(one.eval()(z.copy()), other.eval()(z.copy()), rtol=1e-6, atol=1e-9)


def mixed_examples(target: LayerUnderTest) -> str:
    """Return with which other examples one is mixed in training mode: "none", "some" or "all"."""
    drawn = target.drawn
    x, target.drawn = target.draw(examples=MANY), drawn  # reports are about the inputs before
    first = target.fresh()(x.copy())[0]
    for which, examples in (("none", slice(1, None)), ("some", slice(MANY - 1, None))):
        changed = x.copy()
        changed[examples] += 1.0 + np.abs(x[examples])
        if np.allclose(target.fresh()(changed)[0], first):
            return which
    return "all"


def _shuffles(target: LayerUnderTest) -> Iterator[Callable[[np.ndarray], np.ndarray]]:
    """Yield functions that shuffle the pixels of all images, one for each layout."""
    for layout in LAYOUTS if target.layout is None else (target.layout,):
        channels = -1 if layout == "NHWC" else 1
        order = target.rng.permutation(4 * math.prod(rows_columns(target.input_shape, layout)))

        def shuffled(images: np.ndarray, channels: int = channels, order: np.ndarray = order) -> np.ndarray:
            last = np.moveaxis(images, channels, -1)
            mixed = last.reshape(-1, last.shape[-1])[order].reshape(last.shape)
            return np.moveaxis(mixed, -1, channels).copy()

        yield shuffled
