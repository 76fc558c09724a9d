"""Training images with their labels, before and after augmentation."""

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from minicnn.plots.style import INK, dress, figure_of, shorten
from minicnn.plots.tiles import draw_tiles, tile_axes
from minicnn.plural import counted

_COLUMNS = 8


def batch(
    images: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str] | None = None,
    augment: Callable[[np.ndarray, np.random.Generator], np.ndarray] | None = None,
    rng: int | np.random.Generator = 0,
    count: int = 16,
    ax: Axes | None = None,
) -> Figure:
    """Draw images with their labels, and below each image its augmented version.

    Parameters
    ----------
    images : ndarray, shape (N, H, W, C)
        uint8, or floats; those beyond [0, 1] are spread from black to white.
    labels : ndarray of int, shape (N,)
        Their classes.
    class_names : sequence of str, optional
        By default the class indices.
    augment : callable, optional
        `f(images, rng) -> images`, as for `Trainer`.
    rng : int or Generator
        Seed, or generator, of the augmentation.
    count : int
        Maximum number of images; the first ones are drawn.
    ax : Axes, optional
        Where to draw.

    Returns
    -------
    Figure
    """
    images, labels = images[:count], np.asarray(labels)[:count]
    names = [str(label) if class_names is None else class_names[label] for label in labels]
    captions = [(shorten(name, 14), "") for name in names]
    title = f"{counted(len(images), 'image')} with their labels"
    if augment is not None:
        changed = augment(images, np.random.default_rng(rng))
        white = 255 if images.dtype == np.uint8 else max(images.max(initial=1), changed.max(initial=1))
        line = np.full_like(images[:, : max(images.shape[1] // 14, 1)], white)
        images = np.concatenate([images, line, changed], axis=1)
        title += "; below, augmented"
    ax = tile_axes(images, _COLUMNS) if ax is None else ax
    draw_tiles(ax, images, captions, _COLUMNS, accent=INK)
    dress(ax, title)
    return figure_of(ax)
