"""Conversion of PyTorch modules to minicnn, by the names of their classes."""

from collections.abc import Callable, Sequence
from typing import Any

from minicnn.interop.layer_map.counterpart import require, short
from minicnn.interop.torch.state import load_state
from minicnn.layers import (
    ELU,
    GELU,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    GroupNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    Pool2D,
    PReLU,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    Upsampling2D,
    ZeroPadding2D,
)


def from_torch(module: Any, input_shape: Sequence[int]) -> Sequential:
    """Return a built `Sequential` with the layers and the weights of a PyTorch `nn.Sequential`.

    It takes images as (N, H, W, C), PyTorch's as (N, C, H, W): `model.predict(x.transpose(0, 2, 3, 1))` is
    what `module.eval()(torch.from_numpy(x))` is, up to rounding. Dropout masks come from other random
    numbers, and BatchNorm updates its running variance with the biased variance of a batch, where PyTorch
    takes the unbiased one.

    Parameters
    ----------
    module : torch.nn.Sequential
        Nested ones are flattened. Known are convolutions, max and average pooling, also adaptive to 1x1,
        Linear, batch, group, layer and local response normalization, dropout, Flatten, Identity, zero
        padding, nearest upsampling, and the usual activations.
    input_shape : sequence of int
        Shape of one example in minicnn, (H, W, C) or (features,), since PyTorch's modules have none.

    Raises
    ------
    ValueError
        If a module has no counterpart in minicnn, or a setting that minicnn lacks; the message names the
        first.

    Examples
    --------
    ::

        net = torch.nn.Sequential(torch.nn.Conv2d(1, 6, 5), torch.nn.ReLU(), torch.nn.Flatten(), ...)
        model = from_torch(net, (28, 28, 1))
    """
    layers = _converted(module, "")
    model = Sequential(layers).build(input_shape)
    _require_same_axes(layers)
    load_state(model, module.state_dict())
    return model


def _require_same_axes(layers: Sequence[Layer]) -> None:
    """Raise ValueError where PyTorch's order of the axes would lead to another result."""
    for i, layer in enumerate(layers):
        shape = layer.input_shape or ()
        if isinstance(layer, Dense | LayerNorm) and len(shape) == 3:
            raise ValueError(
                f"layer {i} ({type(layer).__name__}) works along the last axis of images, which are the "
                f"columns in PyTorch and the channels in minicnn"
            )
        last = not any(isinstance(later, Dense) for later in layers[i:])
        if isinstance(layer, Flatten) and last and len(shape) == 3 and shape[2] > 1 < shape[0] * shape[1]:
            raise ValueError(
                f"layer {i} (Flatten) gives values in another order than PyTorch, and no Linear follows"
            )


def _converted(module: Any, place: str) -> list[Layer]:
    kind = type(module).__name__
    if kind == "Sequential":
        parts = [_converted(part, f"{place}.{i}".lstrip(".")) for i, part in enumerate(module)]
        return [layer for part in parts for layer in part]
    try:
        if kind not in _ROWS or not type(module).__module__.startswith("torch.nn."):
            raise ValueError("there is no such layer")
        return _ROWS[kind](module)
    except (TypeError, ValueError) as error:
        raise ValueError(f"module {place or 0} ({kind}) has no counterpart in minicnn: {error}") from error


def _both(value: Any) -> tuple[int, int]:
    """Return a setting of rows and columns as a pair."""
    rows, columns = value if isinstance(value, tuple) else (value, value)
    return rows, columns


def _pads(padding: Any) -> Any:
    """Return PyTorch's padding of rows and columns as that of a layer."""
    if isinstance(padding, str):
        return padding
    rows, columns = _both(padding)
    return "valid" if rows == columns == 0 else ((rows, rows), (columns, columns))


def _conv(conv: Any) -> list[Layer]:
    require(conv, padding_mode="zeros")
    window, strides, dilation = (short(_both(v)) for v in (conv.kernel_size, conv.stride, conv.dilation))
    bias = conv.bias is not None
    return [Conv2D(conv.out_channels, window, strides, _pads(conv.padding), dilation, conv.groups, bias)]


def _pool(pool: Any, mode: str) -> list[Layer]:
    require(pool, ceil_mode=False, dilation=1, return_indices=False, divisor_override=None)
    padding = _pads(pool.padding)
    if mode == "avg" and padding != "valid":
        require(pool, count_include_pad=False)
    window, strides = short(_both(pool.kernel_size)), short(_both(pool.stride))
    return [Pool2D(window, None if strides == window else strides, padding, mode)]


def _adaptive(pool: Any, kind: type[Layer]) -> list[Layer]:
    if _both(pool.output_size) != (1, 1):
        raise ValueError(f"`output_size` must be 1, got {pool.output_size}")
    return [kind()]


def _batch_norm(norm: Any) -> list[Layer]:
    require(norm, track_running_stats=True)
    if norm.momentum is None:
        raise ValueError("`momentum` must be a number, got None")
    return [BatchNorm(1 - norm.momentum, norm.eps, norm.affine, norm.affine)]


def _layer_norm(norm: Any) -> list[Layer]:
    if len(norm.normalized_shape) != 1:
        raise ValueError(f"`normalized_shape` must have one axis, got {tuple(norm.normalized_shape)}")
    return [LayerNorm(norm.eps, norm.weight is not None, norm.bias is not None)]


def _softmax(softmax: Any) -> list[Layer]:
    require(softmax, dim=1)
    return [Softmax()]


def _flatten(flatten: Any) -> list[Layer]:
    require(flatten, start_dim=1, end_dim=-1)
    return [Flatten()]


def _upsample(upsample: Any) -> list[Layer]:
    require(upsample, mode="nearest", size=None)
    rows, columns = _both(upsample.scale_factor)
    if rows != int(rows) or columns != int(columns):
        raise ValueError(f"`scale_factor` must be whole, got {upsample.scale_factor}")
    return [Upsampling2D(short((int(rows), int(columns))))]


def _zero_pad(pad: Any) -> list[Layer]:
    left, right, top, bottom = pad.padding
    return [ZeroPadding2D(((top, bottom), (left, right)))]


_ROWS: dict[str, Callable[[Any], list[Layer]]] = {
    "Conv2d": _conv,
    "Linear": lambda linear: [Dense(linear.out_features, linear.bias is not None)],
    "MaxPool2d": lambda pool: _pool(pool, "max"),
    "AvgPool2d": lambda pool: _pool(pool, "avg"),
    "AdaptiveAvgPool2d": lambda pool: _adaptive(pool, GlobalAveragePool2D),
    "AdaptiveMaxPool2d": lambda pool: _adaptive(pool, GlobalMaxPool2D),
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "GroupNorm": lambda norm: [GroupNorm(norm.num_groups, norm.eps, norm.affine, norm.affine)],
    "LayerNorm": _layer_norm,
    # PyTorch takes the mean of the squares in place of their sum.
    "LocalResponseNorm": lambda n: [LocalResponseNorm(n.size, n.k, n.alpha / n.size, n.beta)],
    "Dropout": lambda dropout: [Dropout(dropout.p)],
    "Flatten": _flatten,
    "Identity": lambda identity: [],
    "ZeroPad2d": _zero_pad,
    "Upsample": _upsample,
    "UpsamplingNearest2d": _upsample,
    "ReLU": lambda relu: [ReLU()],
    "LeakyReLU": lambda relu: [LeakyReLU(relu.negative_slope)],
    "PReLU": lambda relu: [PReLU()],
    "ELU": lambda elu: [ELU(elu.alpha)],
    "GELU": lambda gelu: [GELU(gelu.approximate == "tanh")],
    "SiLU": lambda silu: [SiLU()],
    "Sigmoid": lambda sigmoid: [Sigmoid()],
    "Tanh": lambda tanh: [Tanh()],
    "Softmax": _softmax,
}
