"""Which pixels an answer hangs on: three ways to ask, from the nearest to the most robust.

All ask about the logit of one class for one image; logits, since probabilities that are nearly one no longer
change, whatever is done to the image.
"""

from __future__ import annotations

import math

import numpy as np

from minicnn.insight.trace import Trace, blocks
from minicnn.layers import Sequential
from minicnn.ops.scaling import to_float
from minicnn.validation import check_class_indices, check_int


def class_gradient(model: Sequential, image: np.ndarray, label: int) -> np.ndarray:
    """Return how fast the class's logit grows with each pixel, the image in [0, 1].

    Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks" (2014); they draw its absolute
    values, but the sign says whether a pixel speaks for the class or against it.

    Parameters
    ----------
    model : Sequential
        Built, with logits (N, K).
    image : ndarray, shape (H, W, C)
        uint8, or floats in [0, 1].
    label : int
        The class that is asked about.

    Returns
    -------
    ndarray, shape (H, W, C)
    """
    trace = Trace(model, np.asarray(image)[np.newaxis])
    trace.backward(_only(trace.outputs[-1], label))
    return trace.dx[0]


def occlusion(
    model: Sequential, image: np.ndarray, label: int, size: int = 5, background: float = 0.0
) -> np.ndarray:
    """Return how much the class's logit falls, on average, where a square covers the pixel.

    The square is laid everywhere, at the border partly outside. Zeiler and Fergus, "Visualizing and
    understanding convolutional networks" (2014), who give the square's middle what is here shared by all
    pixels under it.

    Parameters
    ----------
    model, image, label
        As for `class_gradient`.
    size : int
        Side of the square, in pixels.
    background : float
        Its colour: 0 is the background of MNIST.

    Returns
    -------
    ndarray, shape (H, W)
    """
    size = check_int(size, "size", low=1)
    whole = to_float(np.asarray(image)[np.newaxis], model.dtype)
    height, width = whole.shape[1:3]
    logit = float(_logits(model, whole, label)[0])
    fall = np.zeros((height, width))
    for top in range(1 - size, height):  # all images at once might not fit into the memory
        places = [
            (slice(max(top, 0), top + size), slice(max(left, 0), left + size))
            for left in range(1 - size, width)
        ]
        covered = np.repeat(whole, len(places), axis=0)
        for image, place in zip(covered, places, strict=True):
            image[place] = background
        for place, below in zip(places, logit - _logits(model, covered, label), strict=True):
            fall[place] += below
    return fall / size**2  # each pixel was covered so many times


def grad_cam(model: Sequential, image: np.ndarray, label: int, layer: int | None = None) -> np.ndarray:
    """Return where a layer saw what speaks for the class: its maps, weighted by their mean gradients.

    Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based localization"
    (2017).

    Parameters
    ----------
    model, image, label
        As for `class_gradient`.
    layer : int, optional
        Place of a layer whose output are maps (h, w, channels); by default the last convolution that
        leaves more than one cell, after its activation.

    Returns
    -------
    ndarray, shape (h, w)
        At least 0.
    """
    trace = Trace(model, np.asarray(image)[np.newaxis])
    if layer is None:
        ends = [block.last for block in blocks(model)]
        layer = max((end for end in ends if math.prod(trace.outputs[end].shape[1:-1]) > 1), default=-1)
    if not 0 <= layer < len(trace.layers) or trace.outputs[layer].ndim != 4:
        raise ValueError(
            f"`layer` must be the place of one whose output are maps (h, w, channels), got {layer}"
        )
    gradient = trace.backward(_only(trace.outputs[-1], label))[layer][0]
    maps = trace.outputs[layer][0]
    return np.maximum(maps @ gradient.mean(axis=(0, 1)), 0)


def _logits(model: Sequential, images: np.ndarray, label: int) -> np.ndarray:
    logits = model.predict(images).astype(np.float64)
    return (logits * _only(logits, label)).sum(axis=1)


def _only(logits: np.ndarray, label: int) -> np.ndarray:
    """Return the gradient of one class's logit with respect to all of them."""
    if logits.ndim != 2:
        raise ValueError(f"the model must give logits (N, K), got {logits.shape}")
    dlogits = np.zeros_like(logits)
    dlogits[:, check_class_indices(np.asarray([label]), logits.shape[1])] = 1
    return dlogits
