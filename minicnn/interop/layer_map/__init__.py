"""The counterpart of each layer in Keras and ONNX: one row a layer, in the file of its family.

Neither Keras nor onnx is imported here: rows name Keras's layers and ONNX's operators. A layer without a row
cannot be exported.
"""

from collections.abc import Iterator, Sequence

from minicnn.interop.layer_map import (
    activations,
    containers,
    conv,
    dense,
    historic,
    normalization,
    pool,
    resize,
)
from minicnn.interop.layer_map.counterpart import Counterpart
from minicnn.layers import Layer, Sequential

LAYER_MAP: dict[type[Layer], Counterpart] = {
    **conv.ROWS,
    **pool.ROWS,
    **dense.ROWS,
    **activations.ROWS,
    **normalization.ROWS,
    **resize.ROWS,
    **containers.ROWS,
    **historic.ROWS,
}

__all__ = ["LAYER_MAP", "Counterpart", "flat_layers", "leaf_layers"]


def flat_layers(model: Layer | Sequence[Layer], name: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the layers of nested `Sequential` in order, each with its index: "3", or "3.0" inside the 3rd.

    `name` is that of the model, or of the list of layers.
    """
    if isinstance(model, Layer) and not isinstance(model, Sequential):
        yield name or "0", model
        return
    for i, layer in enumerate(model):
        yield from flat_layers(layer, f"{name}.{i}" if name else f"{i}")


def leaf_layers(model: Layer | Sequence[Layer], name: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the layers as `flat_layers` does, but those of branches in place of the layer that holds them.

    Layer 2 of branch 1 of layer 3 is "3.1.2".
    """
    for place, layer in flat_layers(model, name):
        row = LAYER_MAP.get(type(layer))
        if row is None or row.branches is None:
            yield place, layer
            continue
        for i, branch in enumerate(row.branches(layer)):
            yield from leaf_layers(branch, f"{place}.{i}")
