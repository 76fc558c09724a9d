"""Many small maps side by side in one array."""

import numpy as np


def mosaic(maps: np.ndarray, columns: int) -> np.ndarray:
    """Return maps (n, h, w) in a grid with `columns` columns, with gaps of NaN between them.

    >>> mosaic(np.arange(3.0).reshape(3, 1, 1), 2)
    array([[ 0., nan,  1.],
           [nan, nan, nan],
           [ 2., nan, nan]])
    """
    count, height, width = maps.shape
    gap = max(1, round(0.06 * max(height, width)))
    rows = -(-count // columns)
    whole = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap), np.nan)
    for i, one in enumerate(maps):
        top, left = (i // columns) * (height + gap), (i % columns) * (width + gap)
        whole[top : top + height, left : left + width] = one
    return whole
