"""The test images of a static copy: some of each class, and some that the network misclassifies."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from minicnn.demo.session import Session

_PER_CLASS, _MISCLASSIFIED = 10, 20
_BYTES = 1 << 20  # of images, but at least one


@dataclass(frozen=True)
class Chosen:
    """Test images.

    Attributes
    ----------
    images : ndarray, shape (N, H, W, C)
        uint8 or float32.
    numbers, labels : ndarray, shape (N,)
        Their numbers in the test set, and their classes.
    wrong : ndarray of bool, shape (N,)
        Whether the network misclassifies them.
    any : int
        How many of them, from the first on, are the choice of each class; the rest are more that are wrong.
    of, misclassified : int
        How many test images there are, and how many of them the network misclassifies.
    """

    images: np.ndarray
    numbers: np.ndarray
    labels: np.ndarray
    wrong: np.ndarray
    any: int
    of: int
    misclassified: int

    def describe(self) -> dict[str, Any]:
        """Return what the page needs beside the images."""
        pairs = zip(self.numbers, self.labels, strict=True)
        return {
            "dtype": self.images.dtype.name,
            "images": [{"index": int(number), "label": int(label)} for number, label in pairs],
            "any": list(range(self.any)),
            "wrong": np.flatnonzero(self.wrong).tolist(),
            "of": self.of,
            "misclassified": self.misclassified,
        }


def choose(session: Session, most: int | None = None) -> Chosen:
    """Return test images for a copy, class by class; `most` limits their number.

    Raises
    ------
    FileNotFoundError, FileFormatError
        If the data set no longer exists, or a model file does not name one.
    """
    images, labels = session.inputs.examples
    with np.errstate(all="ignore"):  # weights that are not finite are refused when they are written
        wrong = session.model.predict(images).argmax(axis=1) != labels
    limit = max(1, min(most or len(images), _BYTES // max(1, images[0].nbytes)))
    some = _of_each_class(labels)[:limit]
    more = np.setdiff1d(np.flatnonzero(wrong), some)[: min(_MISCLASSIFIED, limit // 4)]
    numbers = np.concatenate([some, more])
    kind = np.uint8 if images.dtype == np.uint8 else np.float32
    return Chosen(
        np.ascontiguousarray(images[numbers], np.dtype(kind).newbyteorder("<")),
        numbers,
        labels[numbers],
        wrong[numbers],
        len(some),
        len(images),
        int(wrong.sum()),
    )


def _of_each_class(labels: np.ndarray) -> np.ndarray:
    """Return the first images of each class: the first of all classes, then the second, and so on."""
    seen: Counter[int] = Counter()
    chosen = []
    for number, label in enumerate(labels.tolist()):
        if seen[label] < _PER_CLASS:
            chosen.append((seen[label], label, number))
            seen[label] += 1
    return np.array([number for *_, number in sorted(chosen)], int)
