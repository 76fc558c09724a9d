"""The misclassified images with the highest confidence."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minicnn.plots.style import dress, figure_of, shorten
from minicnn.plots.tiles import draw_tiles, tile_axes
from minicnn.plural import counted

_COLUMNS = 8


def mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
    count: int = 24,
    ax: Axes | None = None,
) -> Figure:
    """Draw misclassified images, those with the highest probability of the wrong class first.

    Below each image: the predicted class with its probability, and the true class.

    Parameters
    ----------
    images : ndarray, shape (N, H, W, C)
        uint8, or floats in [0, 1]; one or three channels.
    labels : ndarray of int, shape (N,)
        The true classes.
    probabilities : ndarray, shape (N, K)
        The softmax of the model's logits.
    class_names : sequence of str, optional
        By default the class indices.
    count : int
        Maximum number of images.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure
    """
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != labels)
    most_confident = wrong[np.argsort(-confidence[wrong], kind="stable")][:count]
    names = [str(k) for k in range(probabilities.shape[1])] if class_names is None else class_names
    captions = [
        (f"{shorten(names[predicted[i]], 10)} {100 * confidence[i]:.0f} %", f"is {shorten(names[labels[i]])}")
        for i in most_confident
    ]
    ax = tile_axes(images[most_confident], _COLUMNS) if ax is None else ax
    draw_tiles(ax, images[most_confident], captions, _COLUMNS)
    total = counted(len(labels), "image")
    title = f"Most confident of {counted(len(wrong), 'mistake')} in {total}: predicted and true class"
    dress(ax, title if len(wrong) else f"No mistakes in {total}")
    return figure_of(ax)
