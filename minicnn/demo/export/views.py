"""What each row, column and channel of a layer's output sees of its input, as data for a static copy."""

from typing import Any

from minicnn.demo.chain import chain
from minicnn.layers import Dense, Flatten, Layer

View = dict[str, Any]


def view_of(layer: Layer) -> View:
    """Return what a layer's output sees of its input, found by `chain` for single cells.

    `rows` and `columns` have a pair (first, end) for each row and column of the output, `channels` a list for
    each channel; None means all of them, "same" the same one. `shape` is that of the input. `flat` says that
    the cells of a vector are those of maps.
    """
    shape, out = layer.input_shape or (), layer.output_shape
    if isinstance(layer, Flatten):
        return {"shape": shape, "flat": True}
    rows, columns = out[:2] if len(out) == 3 else (1, 1)
    # What all units of a Dense see needs to be found once.
    channels = [_seen(layer, 0, 0, i)["channels"] for i in range(1 if isinstance(layer, Dense) else out[-1])]
    return {
        "shape": shape,
        "rows": _short([_span(_seen(layer, i, 0, 0), "top", "rows") for i in range(rows)]),
        "columns": _short([_span(_seen(layer, 0, i, 0), "left", "columns") for i in range(columns)]),
        "channels": _short_channels(channels),
    }


def _seen(layer: Layer, row: int, column: int, channel: int) -> dict[str, Any]:
    cell = (row, column, channel) if len(layer.output_shape) == 3 else (channel,)
    (found,) = chain([layer], cell)
    return found


def _span(seen: dict[str, Any], first: str, count: str) -> tuple[int, int]:
    return seen[first], seen[first] + seen[count]


def _short(spans: list[tuple[int, int]]) -> Any:
    return "same" if spans == [(i, i + 1) for i in range(len(spans))] else spans


def _short_channels(lists: list[Any]) -> Any:
    if all(each is None for each in lists):
        return None
    return "same" if lists == [[i] for i in range(len(lists))] else lists
