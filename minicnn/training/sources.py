"""Sources of examples that need not be in memory."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np

Examples = tuple[np.ndarray, ...]  # x, y, and perhaps a weight for each example
_BLOCK = 1024  # examples that are in memory at a time for a prediction


class ExampleSource(Protocol):
    """Examples by index, such as `minicnn.datasets.ImageFolder`.

    Attributes
    ----------
    shape : tuple of int
        (N, ...), that of all examples.
    y : ndarray, shape (N,) or (N, K)
        All labels.
    """

    shape: tuple[int, ...]
    y: np.ndarray

    def __len__(self) -> int: ...

    def batches(self, indices: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield examples and labels for each array of indices."""
        ...

    def digest(self) -> str:
        """Return a text that differs for other data."""
        ...


def is_source(data: Any) -> bool:
    """Return whether this is an `ExampleSource`."""
    return all(hasattr(data, name) for name in ("batches", "digest", "shape", "y"))


def labels_of(data: ExampleSource | Examples) -> np.ndarray:
    """Return all labels."""
    return data[1] if isinstance(data, tuple) else data.y


def parts_of(data: ExampleSource | Examples, rows: slice) -> Iterator[np.ndarray]:
    """Yield some of the examples, x: those of arrays at once, those of a source a block at a time."""
    if isinstance(data, tuple):
        yield data[0][rows]
        return
    indices = np.arange(rows.start, rows.stop)
    blocks = np.array_split(indices, max(-(-len(indices) // _BLOCK), 1))
    yield from (x for x, _ in data.batches(blocks))


def predict_part(
    data: ExampleSource | Examples, predict: Callable[[np.ndarray], np.ndarray], rows: slice
) -> np.ndarray:
    """Return predictions for some of the examples."""
    outputs = [predict(x) for x in parts_of(data, rows)]
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
