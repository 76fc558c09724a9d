"""The chain from a cell back to the pixels that it sees: its receptive field in each earlier stage."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn.insight.trace import unnested
from minicnn.layers import (
    ELU,
    GELU,
    BatchNorm,
    Conv2D,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    Pool2D,
    PReLU,
    ReLU,
    Rescaling,
    Residual,
    Sigmoid,
    SiLU,
    Tanh,
    Upsampling2D,
    ZeroPadding2D,
)
from minicnn.layers.resize import zero_pads
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample
from minicnn.ops.padding import Pair, pair, resolve_padding

Shape = tuple[int, ...]


class Region(NamedTuple):
    """A box of cells in some maps; a vector is a map of one cell for each of its numbers."""

    rows: range
    columns: range
    channels: frozenset[int]

    def to_json(self, shape: Shape) -> dict[str, Any]:
        """Return its place; `channels` is None if it spans all maps."""
        everything = len(self.channels) == shape[-1]
        return {
            "top": self.rows.start,
            "left": self.columns.start,
            "rows": len(self.rows),
            "columns": len(self.columns),
            "channels": None if everything else sorted(self.channels),
        }


def chain(layers: Sequence[Layer], cell: Shape) -> list[dict[str, Any]]:
    """Return on which part of each stage a cell of the last layer's output depends, backwards to stage 0.

    Examples
    --------
    >>> from minicnn import Sequential
    >>> model = Sequential([Conv2D(4, 3), Pool2D(2)]).build((8, 8, 1), rng=0)
    >>> for part in chain(model.layers, (1, 0, 2)):
    ...     print(part)
    {'stage': 1, 'top': 2, 'left': 0, 'rows': 2, 'columns': 2, 'channels': [2]}
    {'stage': 0, 'top': 2, 'left': 0, 'rows': 4, 'columns': 4, 'channels': None}
    """
    row, column, channel = cell if len(cell) == 3 else (0, 0, cell[0])
    region = Region(range(row, row + 1), range(column, column + 1), frozenset([channel]))
    found = []
    for stage in reversed(range(len(layers))):
        region = _before(layers[stage], region)
        found.append({"stage": stage, **region.to_json(_input(layers[stage]))})
    return found


def _before(layer: Layer, region: Region) -> Region:
    return _BEFORE.get(type(layer), _everything)(layer, region)


def _input(layer: Layer) -> Shape:
    return layer.input_shape or ()


def _everything(layer: Layer, region: Region) -> Region:
    """Return the whole input: that of Dense, and of a layer that is not known."""
    return _whole(_input(layer))


def _whole(shape: Shape) -> Region:
    rows, columns = shape[:2] if len(shape) == 3 else (1, 1)
    return Region(range(rows), range(columns), frozenset(range(shape[-1])))


def _itself(layer: Layer, region: Region) -> Region:
    return region


def _flatten(layer: Flatten, region: Region) -> Region:
    shape = _input(layer)
    whole = _whole(shape)
    if len(shape) != 3 or len(region.channels) != 1:
        return whole
    row, column, channel = (int(i) for i in np.unravel_index(min(region.channels), shape))
    return Region(range(row, row + 1), range(column, column + 1), frozenset([channel]))


def _windows(
    layer: Layer, region: Region, size: Pair, strides: Pair, padding: Any, dilation: Pair = (1, 1)
) -> Region:
    """Return the rows and columns under the windows of a region, without padding; the same maps."""
    shape = _input(layer)[:2]
    span = ((size[0] - 1) * dilation[0] + 1, (size[1] - 1) * dilation[1] + 1)
    pads = resolve_padding(padding, (shape[0], shape[1]), span, strides)
    rows, columns = (
        _taps(part, taps, step, gap, before, length)
        for part, taps, step, gap, (before, _), length in zip(
            (region.rows, region.columns), size, strides, dilation, pads, shape, strict=True
        )
    )
    return Region(rows, columns, region.channels)


def _taps(part: range, taps: int, step: int, gap: int, before: int, length: int) -> range:
    """Return the range of the inputs, along an axis, that the outputs of a range multiply."""
    seen = [i for out in part for tap in range(taps) if 0 <= (i := out * step - before + tap * gap) < length]
    return range(min(seen, default=0), max(seen, default=-1) + 1)


def _conv(layer: Conv2D, region: Region) -> Region:
    filters, channels = layer.filters // layer.groups, _input(layer)[-1] // layer.groups
    seen = frozenset(
        channel
        for group in {filter_ // filters for filter_ in region.channels}
        for channel in range(group * channels, (group + 1) * channels)
    )
    size, strides = pair(layer.kernel_size, "kernel_size"), pair(layer.strides, "strides")
    dilation = pair(layer.dilation, "dilation")
    return _windows(layer, region._replace(channels=seen), size, strides, layer.padding, dilation)


def _partial_conv(layer: PartialConv2D, region: Region) -> Region:
    seen = frozenset(int(channel) for filter_ in region.channels for channel in layer.table[filter_])
    span = (layer.kernel_size, layer.kernel_size)
    return _windows(layer, region._replace(channels=seen), span, (1, 1), "valid")


def _pool(layer: Pool2D, region: Region) -> Region:
    size = pair(layer.pool_size, "pool_size")
    strides = size if layer.strides is None else pair(layer.strides, "strides")
    return _windows(layer, region, size, strides, layer.padding)


def _subsample(layer: Subsample, region: Region) -> Region:
    return _windows(layer, region, (2, 2), (2, 2), "valid")


def _global_pool(layer: Layer, region: Region) -> Region:
    return _whole(_input(layer))._replace(channels=region.channels)


def _local_response_norm(layer: LocalResponseNorm, region: Region) -> Region:
    half, end = layer.size // 2, _input(layer)[-1]
    near = {c for channel in region.channels for c in range(channel - half, channel + half + 1)}
    return region._replace(channels=frozenset(c for c in near if 0 <= c < end))


def _zero_padding(layer: ZeroPadding2D, region: Region) -> Region:
    """Return the region without the padding; a cell of padding sees nothing."""
    return _windows(layer, region, (1, 1), (1, 1), zero_pads(layer.padding))


def _upsampling(layer: Upsampling2D, region: Region) -> Region:
    rows, columns = (
        range(part.start // factor, -(-part.stop // factor))
        for part, factor in zip((region.rows, region.columns), pair(layer.size, "size"), strict=True)
    )
    return Region(rows, columns, region.channels)


def _residual(layer: Residual, region: Region) -> Region:
    """Return the smallest box with what both branches see."""
    ends = []
    for branch in layer.branch_layers():
        end = region
        for part in reversed([leaf for one in branch for leaf in unnested(one)]):
            end = _before(part, end)
        ends.append(end)
    rows, columns = (
        range(min(part.start for part in axis), max(part.stop for part in axis))
        for axis in zip(*((end.rows, end.columns) for end in ends), strict=True)
    )
    return Region(rows, columns, frozenset().union(*(end.channels for end in ends)))


# Each function gets the layer and a region of its output, and returns the region of the input that it sees.
_BEFORE: dict[type[Layer], Callable[[Any, Region], Region]] = {
    Conv2D: _conv,
    Flatten: _flatten,
    GlobalAveragePool2D: _global_pool,
    GlobalMaxPool2D: _global_pool,
    LocalResponseNorm: _local_response_norm,
    PartialConv2D: _partial_conv,
    Pool2D: _pool,
    Residual: _residual,
    Subsample: _subsample,
    Upsampling2D: _upsampling,
    ZeroPadding2D: _zero_padding,
    **dict.fromkeys(
        (BatchNorm, Dropout, ELU, GELU, LeakyReLU, PReLU, ReLU, Rescaling, Sigmoid, SiLU, Tanh), _itself
    ),
}
