"""The mistakes that a model is surest of: bad labels, bad handwriting, or bad learning."""

from __future__ import annotations

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
    """Draw the wrongly answered images with the highest probability of the wrong answer first.

    Under each image: the answer and its probability, and the truth.

    Parameters
    ----------
    images : ndarray, shape (N, H, W, C)
        uint8, or floats in [0, 1]; one or three channels.
    labels : ndarray of int, shape (N,)
        The truth.
    probabilities : ndarray, shape (N, K)
        Of each class: the softmax of the model's logits.
    class_names : sequence of str, optional
        By default the numbers.
    count : int
        How many at most.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure
    """
    answers, sureness = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != labels)
    surest = wrong[np.argsort(-sureness[wrong], kind="stable")][:count]
    names = [str(k) for k in range(probabilities.shape[1])] if class_names is None else class_names
    captions = [
        (f"{shorten(names[answers[i]], 10)} {100 * sureness[i]:.0f} %", f"is {shorten(names[labels[i]])}")
        for i in surest
    ]
    ax = tile_axes(images[surest], _COLUMNS) if ax is None else ax
    draw_tiles(ax, images[surest], captions, _COLUMNS)
    judged = counted(len(labels), "image")
    title = f"The surest of {counted(len(wrong), 'mistake')} in {judged}: answer, probability, truth"
    dress(ax, title if len(wrong) else f"No mistake in {judged}")
    return figure_of(ax)
