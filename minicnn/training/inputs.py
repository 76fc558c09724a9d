"""Checks of the data that a fit is given."""

from typing import Any

import numpy as np

from minicnn.errors import located
from minicnn.layers.base import Layer
from minicnn.training.sources import Examples, ExampleSource, is_source
from minicnn.validation import check_examples, check_numbers, check_sample_weight


def check_data(x: Any, y: Any, model: Layer) -> ExampleSource | Examples:
    """Return examples and labels as a source or a pair of arrays."""
    return check_source(x, y, model) if is_source(x) else check_pairs(x, y, model)


def check_source(source: Any, y: Any, model: Layer) -> ExampleSource:
    """Return a source whose examples have the model's input shape."""
    if y is not None:
        raise TypeError(f"`y` must be omitted: {type(source).__name__} has its own labels")
    check_examples(source.shape, model.input_shape)
    if not len(source):
        raise ValueError("`x` must have at least one example")
    return source


def check_validation(data: Any, model: Layer) -> ExampleSource | Examples | None:
    """Return validation data as a source or arrays x, y and perhaps weights, None for None."""
    if data is None:
        return None
    if not is_source(data) and (not isinstance(data, tuple | list) or len(data) not in (2, 3)):
        raise TypeError("`validation_data` must be a pair (x, y), or (x, y, sample_weight)")
    with located("`validation_data`: "):
        if is_source(data):
            return check_source(data, None, model)
        pair = check_pairs(data[0], data[1], model)
        return pair if len(data) == 2 else (*pair, check_sample_weight(data[2], len(pair[0])))


def check_pairs(x: Any, y: Any, model: Layer) -> tuple[np.ndarray, np.ndarray]:
    """Return examples and labels as arrays: at least one, as many of each, of the model's input shape."""
    x, y = check_numbers(x, "x"), check_numbers(y, "y")
    check_examples(x.shape, model.input_shape)
    if len(x) == 0 or y.ndim == 0 or len(x) != len(y):
        raise ValueError(
            f"x and y need the same length, at least one example; got shapes {x.shape} and {y.shape}"
        )
    return x, y
