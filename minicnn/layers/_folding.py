"""In evaluation mode, BatchNorm after a convolution or a dense layer costs little: it scales the weights.

    scale * (kernel * x + bias) + shift  =  (scale * kernel) * x + (scale * bias + shift)

A Chain computes the right side, which differs by rounding only. The weights of the layers do not change: the
scaled kernel is made for each pass, which takes less time than one more pass over the outputs, unless these
are fewer, as those of a large Dense for one example. In training mode the statistics depend on the outputs,
so nothing is folded.
"""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np

from minicnn.layers._exchange import has_own_methods, promises
from minicnn.safeguards.claims import check_thread

Layer: TypeAlias = Any  # that of `minicnn.layers.base`


class Foldable:
    """What a layer promises, so that a Chain may compute it together with its neighbour in evaluation mode.

    As those of `Exchangeable`, a promise holds for the methods of the class that makes it. It is for this
    package's own layers.

    Attributes
    ----------
    _scaled_forward : function or None
        `_scaled_forward(x, scale, shift)` returns scale * forward(x) + shift; scale and shift are (C,), one
        for each channel. The layer has a `kernel`, which it scales.
    _scale_and_shift : function or None
        `_scale_and_shift()` returns the scale and the shift of each channel that `forward` applies in
        evaluation mode.
    """

    _scaled_forward: Any = None
    _scale_and_shift: Any = None


def forward(first: Layer, second: Layer, x: np.ndarray) -> np.ndarray | None:
    """Return the output of both layers, computed by the first; None if that must not be or takes longer."""
    if first.training or second.training or second._scale_and_shift is None:
        return None
    if has_own_methods(first) or has_own_methods(second):
        return None
    kinds: tuple[Any, Any] = type(first), type(second)
    if not (promises(kinds[0], "_scaled_forward") and promises(kinds[1], "_scale_and_shift")):
        return None
    if not all(map(_is_original, kinds)):
        return None
    try:
        if not saves_time(first, x):
            return None
        for layer in (first, second):
            check_thread(layer)
            layer._cache = None, None  # empty, as after a call
        return first._scaled_forward(x, *second._scale_and_shift())
    except Exception:  # computed one after the other, the message names the right layer
        return None


def saves_time(first: Layer, x: np.ndarray) -> bool:
    """Return whether the kernel has no more values than the outputs."""
    return first.kernel.size <= len(x) * math.prod(first.output_shape)


def _is_original(kind: Any) -> bool:
    """Return whether the `forward` of a class is code of this package, and no other has replaced it."""
    return getattr(kind.forward, "__globals__", {}).get("__name__", "").startswith("minicnn.")
