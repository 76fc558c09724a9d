"""The counterpart of each layer in Keras and ONNX: one row a layer, in the file of its family.

Neither Keras nor onnx is imported here: rows name Keras's layers and ONNX's operators. A layer without a row
cannot be exported.
"""

from __future__ import annotations

from collections.abc import Iterator

from minicnn.interop.layer_map import activations, conv, dense, historic, normalization, pool
from minicnn.interop.layer_map.counterpart import Counterpart
from minicnn.layers import Layer, Sequential

LAYER_MAP: dict[type[Layer], Counterpart] = {
    **conv.ROWS,
    **pool.ROWS,
    **dense.ROWS,
    **activations.ROWS,
    **normalization.ROWS,
    **historic.ROWS,
}

__all__ = ["LAYER_MAP", "Counterpart", "flat_layers"]


def flat_layers(model: Layer, name: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the layers of nested `Sequential` in order, each with its index: "3", or "3.0" inside the 3rd."""
    if not isinstance(model, Sequential):
        yield name or "0", model
        return
    for i, layer in enumerate(model):
        yield from flat_layers(layer, f"{name}.{i}" if name else f"{i}")
