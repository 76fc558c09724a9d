"""Saliency: which pixels decide a prediction. Three methods: gradient, occlusion and Grad-CAM.

All explain the logit of one class for one image; the logit, since a probability near 1 hardly changes with
the image.
"""

import numpy as np

from minicnn.insight.trace import Trace, blocks, unnested
from minicnn.layers import Sequential
from minicnn.safeguards.claims import reading
from minicnn.safeguards.inputs import to_input
from minicnn.safeguards.nonfinite import explained
from minicnn.validation import check_class_indices, check_int


@explained
def class_gradient(model: Sequential, image: np.ndarray, label: int) -> np.ndarray:
    """Return the gradient of a class's logit with respect to the image in [0, 1].

    Simonyan, Vedaldi and Zisserman, "Deep inside convolutional networks" (2014). They draw absolute values,
    but the sign tells whether a brighter pixel raises or lowers the logit.

    Parameters
    ----------
    model : Sequential
        A built model that returns logits (N, K).
    image : ndarray, shape (H, W, C)
        uint8, or floats in [0, 1].
    label : int
        The class to explain.

    Returns
    -------
    ndarray, shape (H, W, C)
    """
    trace = Trace(model, np.asarray(image)[np.newaxis])
    trace.backward(_logit_gradient(trace.outputs[-1], label))
    return trace.dx[0]


@explained
def occlusion(
    model: Sequential, image: np.ndarray, label: int, size: int = 5, background: float = 0.0
) -> np.ndarray:
    """Return the mean decrease of a class's logit when a square covers the pixel.

    The square takes all positions, at the border partly outside. Zeiler and Fergus, "Visualizing and
    understanding convolutional networks" (2014), assign the decrease to the center of the square; here it is
    the mean over all squares that cover a pixel.

    Parameters
    ----------
    model, image, label
        As for `class_gradient`.
    size : int
        Side of the square in pixels.
    background : float
        Value of the square: 0 is the background of MNIST.

    Returns
    -------
    ndarray, shape (H, W)
    """
    size = check_int(size, "size", low=1)
    whole = to_input(model, np.asarray(image)[np.newaxis])
    height, width = whole.shape[1:3]
    decrease = np.zeros((height, width))
    with reading(model, copied=True) as (model, _):
        logit = float(_logits(model, whole, label)[0])
        for top in range(1 - size, height):  # one row at a time, to limit memory
            windows = [
                (slice(max(top, 0), top + size), slice(max(left, 0), left + size))
                for left in range(1 - size, width)
            ]
            covered = np.repeat(whole, len(windows), axis=0)
            for image, window in zip(covered, windows, strict=True):
                image[window] = background
            for window, change in zip(windows, logit - _logits(model, covered, label), strict=True):
                decrease[window] += change
    return decrease / size**2  # the number of squares that covered each pixel


@explained
def grad_cam(model: Sequential, image: np.ndarray, label: int, layer: int | None = None) -> np.ndarray:
    """Return the positive part of a layer's maps, weighted by the mean gradients of a class's logit.

    Selvaraju et al., "Grad-CAM: Visual explanations from deep networks via gradient-based localization"
    (2017).

    Parameters
    ----------
    model, image, label
        As for `class_gradient`.
    layer : int, optional
        Index of a layer with maps (h, w, channels) as output; by default the activation of the last
        convolution with more than one output cell.

    Returns
    -------
    ndarray, shape (h, w)
        All values are at least 0.
    """
    trace = Trace(model, np.asarray(image)[np.newaxis])
    if layer is None:
        layer = last_maps(model)
    if layer is None:
        raise ValueError("Grad-CAM needs a layer with maps (h, w, channels) of more than one cell, got none")
    if not 0 <= layer < len(trace.layers) or trace.outputs[layer].ndim != 4:
        raise ValueError(
            f"`layer` must be the index of a layer with maps (h, w, channels) as output, got {layer}"
        )
    gradient = trace.backward(_logit_gradient(trace.outputs[-1], label))[layer][0]
    maps = trace.outputs[layer][0]
    return np.maximum(maps @ gradient.mean(axis=(0, 1)), 0)


def last_maps(model: Sequential) -> int | None:
    """Return the index of the last layer with maps of several cells: a convolution's activation, if any."""
    layers = unnested(model)
    ends = [block.last for block in blocks(model)]
    sizes = {end: layers[end].output_shape[:-1] for end in ends if len(layers[end].output_shape) == 3}
    return max((end for end, size in sizes.items() if size != (1, 1)), default=None)


def _logits(model: Sequential, images: np.ndarray, label: int) -> np.ndarray:
    logits = model.predict(images).astype(np.float64)
    return (logits * _logit_gradient(logits, label)).sum(axis=1)


def _logit_gradient(logits: np.ndarray, label: int) -> np.ndarray:
    """Return the gradient of one class's logit with respect to all of them."""
    if logits.ndim != 2:
        raise ValueError(f"`model` must return logits (N, K), got {logits.shape}")
    dlogits = np.zeros_like(logits)
    dlogits[:, check_class_indices(np.asarray([label]), logits.shape[1])] = 1
    return dlogits
