"""Where the windows of a layer lie: the conventions for padding and output sizes that are in use."""

from collections.abc import Callable
from typing import Any, NamedTuple

from minicnn.layers.base import Layer
from minicnn.ops.padding import Pair, pair, resolve_padding

FIRST_AXIS = {"NHWC": 0, "NCHW": 1}  # axis of the rows in an input shape


def rows_columns(shape: tuple[int, ...] | None, layout: str) -> Pair:
    """Return the numbers of rows and columns in the shape of an image."""
    first = FIRST_AXIS[layout]
    rows, columns = (shape or ())[first : first + 2]
    return rows, columns


class Window(NamedTuple):
    """The declared windows along rows and columns; `pads` is None if `name` says where padding is."""

    span: Pair
    strides: Pair
    name: str
    pads: tuple[Pair, Pair] | None


class Placement(NamedTuple):
    """Padding before the first row (or column), and the number of outputs."""

    before: int
    outputs: int


Place = Callable[[int, int, int, Pair], Placement]


class Convention(NamedTuple):
    """A rule for the placement of windows; `remark` is empty for that of this package."""

    remark: str
    names: tuple[str, ...]
    place: Place


def _floor(n: int, span: int, stride: int, pads: Pair) -> Placement:
    return Placement(pads[0], (n + sum(pads) - span) // stride + 1)


def _ceil(n: int, span: int, stride: int, pads: Pair) -> Placement:
    return Placement(pads[0], -(-(n + sum(pads) - span) // stride) + 1)


def _textbook(n: int, span: int, stride: int, pads: Pair) -> Placement:
    total = max((n - 1) * stride + span - n, 0)
    return Placement(total - total // 2, n)


def _causal(n: int, span: int, stride: int, pads: Pair) -> Placement:
    return Placement(span - 1, -(-n // stride))


def _full(n: int, span: int, stride: int, pads: Pair) -> Placement:
    return Placement(span - 1, (n + span - 2) // stride + 1)


CONVENTIONS = (
    Convention("", ("valid", "same", "explicit"), _floor),
    Convention(
        "windows may begin inside the image and end outside (ceil mode)", ("valid", "explicit"), _ceil
    ),
    Convention(
        "'same' keeps the size for any stride, and puts an odd row before the image (the textbook's rule)",
        ("same",),
        _textbook,
    ),
    Convention("causal padding: all of it is before the image", ("same", "causal"), _causal),
    Convention("full padding: each window that overlaps the image counts", ("full",), _full),
)


def declared_window(layer: Layer, size: Pair) -> Window | None:
    """Return the windows that the attributes of the layer declare for an image, or None."""
    if list(layer.named_layers()) or "transpose" in type(layer).__name__.lower():
        return None
    missing: Any = object()
    window = getattr(layer, "kernel_size", getattr(layer, "pool_size", missing))
    strides = getattr(layer, "strides", getattr(layer, "stride", missing))
    padding = getattr(layer, "padding", missing)
    if any(value is missing for value in (window, strides, padding)):
        return None
    try:
        window = pair(window, "window")
        strides = window if strides is None else pair(strides, "strides")
        dilation = pair(getattr(layer, "dilation", getattr(layer, "dilation_rate", 1)), "dilation")
        span = ((window[0] - 1) * dilation[0] + 1, (window[1] - 1) * dilation[1] + 1)
        name = padding.lower() if isinstance(padding, str) else "explicit"
        pads = None if name in ("full", "causal") else resolve_padding(_pads(padding), size, span, strides)
        return Window(span, strides, name, pads)
    except (TypeError, ValueError):
        return None  # these attributes have another meaning in this layer


def _pads(padding: Any) -> Any:
    """Return padding as "valid", "same" or two pairs; an integer or two of them are PyTorch's."""
    if isinstance(padding, str):
        return padding.lower()
    if isinstance(padding, int):
        return (padding, padding), (padding, padding)
    rows, columns = padding
    if isinstance(rows, int) and isinstance(columns, int):
        return (rows, rows), (columns, columns)
    return padding


def placements(window: Window, size: Pair, convention: Convention) -> tuple[Placement, Placement] | None:
    """Return the windows along rows and columns by a convention, or None if it does not apply."""
    if window.name not in convention.names:
        return None
    pads = window.pads or ((0, 0), (0, 0))
    rows, columns = (
        convention.place(n, span, stride, each)
        for n, span, stride, each in zip(size, window.span, window.strides, pads, strict=True)
    )
    return (rows, columns) if min(rows.outputs, columns.outputs) > 0 else None


def is_enlarged(window: Window, size: Pair, got: Pair) -> bool:
    """Return whether the sizes are those of a transposed convolution that enlarges images."""
    pads = window.pads or ((0, 0), (0, 0))
    enlarged = []
    for n, out, span, stride, each in zip(size, got, window.span, window.strides, pads, strict=True):
        if window.name == "same":
            enlarged.append(out == n * stride and out > n)
        else:
            base = (n - 1) * stride + span - sum(each)
            enlarged.append(base <= out < base + stride and out > n)
    return all(enlarged)
