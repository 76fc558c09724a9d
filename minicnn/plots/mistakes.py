"""The misclassified images with the highest confidence."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minicnn.plots.style import dress, figure_of, shorten
from minicnn.plots.tiles import draw_tiles, tile_axes
from minicnn.plural import counted

_LETTERS = 10  # of the title above each column


def mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    probabilities: np.ndarray,
    class_names: Sequence[str] | None = None,
    count: int = 24,
    columns: int = 8,
    ax: Axes | None = None,
) -> Figure:
    """Draw misclassified images, those with the highest probability of the wrong class first.

    Below each image: the predicted class with its probability in brackets, and the true class.

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
    columns : int
        Number of images in a row.
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
        (
            f"{shorten(names[predicted[i]], 10)} ({100 * confidence[i]:.0f} %)",
            f"is {shorten(names[labels[i]])}",
        )
        for i in most_confident
    ]
    total = counted(len(labels), "image")
    title = f"Most confident of {counted(len(wrong), 'mistake')} in {total}: predicted and true class"
    lines = textwrap.wrap(title if len(wrong) else f"No mistakes in {total}", max(_LETTERS * columns, 30))
    ax = tile_axes(images[most_confident], columns, len(lines)) if ax is None else ax
    draw_tiles(ax, images[most_confident], captions, columns)
    dress(ax, "\n".join(lines))
    return figure_of(ax)
