"""What if: a window of the user's own over an image, and a network some of whose filters are off."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from minicnn.demo import inside
from minicnn.demo.session import Session
from minicnn.insight import Trace, blocks
from minicnn.layers import Conv2D, Layer, Pool2D, Sequential
from minicnn.ops.activations import softmax
from minicnn.ops.padding import Pads, resolve_padding
from minicnn.validation import check_int, check_real

OPERATIONS = ("conv", "max", "avg")
LIMITS = {"size": 11, "stride": 8, "dilation": 4, "padding": 10}


@dataclass(frozen=True)
class Window:
    """A convolution with one filter and no bias, or a pooling; rows and columns have the same settings.

    Parameters
    ----------
    operation : {"conv", "max", "avg"}
        A convolution applies the kernel to each channel, and adds them up.
    size, stride, dilation : int
        Of the window; pooling has no dilation.
    padding : {"valid", "same"} or int
        An integer is the number of rows and columns of padding on each side.
    kernel : list of list of float
        `size` lines of `size` weights, in [-100, 100); empty for pooling.
    """

    operation: str = "conv"
    size: int = 3
    stride: int = 1
    dilation: int = 1
    padding: str | int = "valid"
    kernel: list[list[float]] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.operation not in OPERATIONS:
            raise ValueError(
                f"`operation` must be one of {', '.join(OPERATIONS)}, got {self.operation!s:.40}"
            )
        for name in ("size", "stride", "dilation"):
            _check_small(getattr(self, name), name, low=1)
        if self.padding not in ("valid", "same"):
            if isinstance(self.padding, str):
                raise ValueError(f'`padding` must be "valid", "same" or an integer, got {self.padding!s:.40}')
            _check_small(self.padding, "padding", low=0)
        if self.operation == "conv":
            _check_kernel(self.kernel, self.size)
        elif self.dilation != 1 or self.kernel:
            raise ValueError("pooling must have a dilation of 1 and no kernel")

    @property
    def span(self) -> int:
        """Rows that the window covers, and columns."""
        return (self.size - 1) * self.dilation + 1

    def pads(self, size: tuple[int, int]) -> Pads:
        """Return the padding around an image of this size."""
        padding: Any = self.padding
        if not isinstance(padding, str):
            padding = ((padding, padding), (padding, padding))
        return resolve_padding(padding, size, (self.span, self.span), (self.stride, self.stride))

    def layer(self, shape: tuple[int, ...]) -> Sequential:
        """Return it as a built network of one layer for images of this shape.

        Raises
        ------
        ValueError
            If the window is larger than the image with its padding, or a window of pooling might cover
            nothing but padding.
        """
        size, pads = (shape[0], shape[1]), self.pads((shape[0], shape[1]))
        for name, length, around in zip(("rows", "columns"), size, pads, strict=True):
            if self.span > length + sum(around):
                raise ValueError(
                    f"the window spans {self.span} {name}, but the image has {length + sum(around)} with its "
                    f"padding: choose a smaller kernel or dilation, or more padding"
                )
        if self.operation != "conv" and max(map(max, pads)) >= self.size:
            raise ValueError(
                f"a pooling window of {self.size}\N{MULTIPLICATION SIGN}{self.size} takes a padding of at "
                f"most {self.size - 1}, so that each covers a part of the image"
            )
        layer: Layer
        if self.operation == "conv":
            layer = Conv2D(
                1, self.size, strides=self.stride, padding=pads, dilation=self.dilation, use_bias=False
            )
        else:
            layer = Pool2D(self.size, strides=self.stride, padding=pads, mode=self.operation)
        model = Sequential([layer]).build(shape, rng=0)
        if isinstance(layer, Conv2D):
            kernel = np.array(self.kernel, np.float32)[..., np.newaxis, np.newaxis]
            layer.kernel.value = np.broadcast_to(kernel, layer.kernel.shape)
        return model


def _check_small(value: Any, name: str, low: int) -> None:
    if type(value) is not int:
        raise TypeError(f"`{name}` must be an integer, got {type(value).__name__}")
    if check_int(value, name, low=low) > LIMITS[name]:
        raise ValueError(f"`{name}` must be at most {LIMITS[name]}, got more")


def _check_kernel(kernel: Any, size: int) -> None:
    whole = isinstance(kernel, list) and len(kernel) == size
    if not whole or not all(isinstance(line, list) and len(line) == size for line in kernel):
        raise ValueError(f"`kernel` must be {size} lists of {size} numbers")
    for value in (value for line in kernel for value in line):
        if type(value) not in (int, float):
            raise TypeError(f"`kernel` must hold numbers, got {type(value).__name__}")
        check_real(value, "kernel", low=-100, high=100)


def slide(
    session: Session, image: np.ndarray, window: Window, cell: tuple[int, ...] | None
) -> dict[str, Any]:
    """Return the output of a window over an image, its geometry, and how a cell was computed.

    `axes` has what the formula of the output's size needs, of rows and of columns: n, before, after and out.
    """
    x = session.inputs.to_batch(image)
    model = window.layer(x.shape[1:])
    shape = model.output_shape
    if cell is not None and (len(cell) != 3 or not all(0 <= i < n for i, n in zip(cell, shape, strict=True))):
        raise ValueError(f"`cell` must lie within {list(shape)}, got {list(cell)}")
    trace = Trace(model, x)
    axes = [
        {"n": n, "before": before, "after": after, "out": out}
        for n, (before, after), out in zip(x.shape[1:3], window.pads(x.shape[1:3]), shape[:2], strict=True)
    ]
    found = {} if cell is None else {"cell": inside.explain(trace, 1, cell)}
    return {"x": trace.x[0], "y": trace.outputs[0][0], "axes": axes, "span": window.span, **found}


def without(session: Session, image: np.ndarray, off: list[tuple[int, int]]) -> dict[str, Any]:
    """Return the probabilities with all filters, and with some off: their maps are 0 after the activation.

    Parameters
    ----------
    session : Session
        Its network is asked.
    image : ndarray
        As for `Session.look`.
    off : list of (int, int)
        Stage, one of those that `filters` has, and map.
    """
    trace, known = session.trace(image), {one.stage: one for one in filters(session)}
    for stage, number in off:
        if stage not in known or not 0 <= number < known[stage].maps:
            raise ValueError(
                f"`off` must hold a stage with filters and one of its maps, got {[stage, number]}"
            )
    x, outputs = trace.x, []
    for stage, layer in enumerate(trace.layers, 1):
        x = layer(x)
        numbers = [number for one, number in off if one == stage]
        if numbers:
            x = x.copy()
            x[..., numbers] = 0
        outputs.append(x)
    found = [
        {"name": one.name, "stage": one.stage, "values": outputs[one.stage - 1][0]} for one in known.values()
    ]
    return {"was": softmax(trace.outputs[-1])[0], "now": softmax(x)[0], "filters": found}


@dataclass(frozen=True)
class Filters:
    """The maps of a layer with kernels, after its activation."""

    name: str
    stage: int
    maps: int


def filters(session: Session) -> list[Filters]:
    """Return the layers of a network whose filters can be turned off."""
    model = session.model
    return [
        Filters(block.name, block.last + 1, model[block.last].output_shape[2])
        for block in blocks(model)
        if len(model[block.last].output_shape) == 3
    ]
