"""The features of images in the last hidden layer, and their principal components."""

import numpy as np

from minicnn.insight.trace import Trace, blocks
from minicnn.layers import Sequential
from minicnn.safeguards.nonfinite import explained, is_finite
from minicnn.validation import check_int

_BATCH = 256  # images per batch: the outputs of all layers are in memory


@explained
def last_hidden(model: Sequential, images: np.ndarray) -> np.ndarray:
    """Return the input of the last layer with weights: the features of each image.

    Parameters
    ----------
    model : Sequential
        Built.
    images : ndarray, shape (N, ...)
        uint8, or floats.

    Returns
    -------
    ndarray, shape (N, D)
    """
    all_blocks = blocks(model)
    if not all_blocks:
        raise ValueError("`model` must have a layer with weights, got none")
    starts, index = range(0, len(images), _BATCH), all_blocks[-1].first
    traces = (Trace(model, images[start : start + _BATCH]) for start in starts)
    parts = [[trace.x, *trace.outputs][index] for trace in traces]
    return np.concatenate([part.reshape(len(part), -1) for part in parts])


def principal_components(features: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return the coordinates of points along the directions of largest variance (Pearson 1901).

    Parameters
    ----------
    features : ndarray, shape (N, D)
        The points.
    count : int
        Number of directions.

    Returns
    -------
    coordinates : ndarray, shape (N, count)
        Relative to the mean. The sign of a direction makes its largest component positive.
    shares : ndarray, shape (count,)
        Shares of the total variance.

    Examples
    --------
    >>> points = np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> coordinates, shares = principal_components(points, 1)
    >>> coordinates.ravel().round(6).tolist(), shares.round(6).tolist()
    ([-5.0, 0.0, 5.0], [1.0])
    """
    features = np.asarray(features, np.float64)
    if not is_finite(features):
        raise ValueError("`features` must be finite, got NaN or infinite values, as of a net that diverged")
    count = check_int(count, "count", low=1)
    if features.ndim != 2 or min(features.shape) < count:
        raise ValueError(f"`features` must be (N, D) with N and D at least {count}, got {features.shape}")
    centred = features - features.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    directions = directions[:count]
    largest = np.abs(directions).argmax(axis=1)
    directions *= np.sign(directions[np.arange(count), largest])[:, np.newaxis]
    variance = lengths**2
    return centred @ directions.T, variance[:count] / max(float(variance.sum()), 1e-300)
