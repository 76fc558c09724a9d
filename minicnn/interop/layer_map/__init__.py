"""The counterpart of each layer in Keras and ONNX: one row a layer, in the file of its family.

Neither Keras nor onnx is imported here: rows name Keras's layers and ONNX's operators. A layer without a row
is exported if it says itself what it is there, by one of these methods:

- `to_layers()` returns the built layers of minicnn that it consists of, in order of application;
- `to_keras()` returns a Keras layer, or several in order; the last one has the weights, in the same order;
- `to_onnx(graph)` appends nodes: `graph.node("Relu")` takes the current value, and arrays as more inputs. The
  attribute `onnx_channels = "first"` or `"last"` says where they need the channels.

A subclass that does not change `forward` is exported as its base class.
"""

from collections.abc import Iterator, Sequence
from typing import Any

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

__all__ = ["LAYER_MAP", "Counterpart", "counterpart", "flat_layers", "leaf_layers"]


def counterpart(layer: Layer) -> Counterpart | None:
    """Return the row of a layer; None if there is none, and the layer does not say itself what it is."""
    own: Any = layer
    if hasattr(own, "to_keras") or hasattr(own, "to_onnx"):
        return Counterpart(
            to_keras=(lambda layer: _specs(layer.to_keras())) if hasattr(own, "to_keras") else None,
            to_onnx=(lambda graph, layer: layer.to_onnx(graph)) if hasattr(own, "to_onnx") else None,
            onnx_channels=getattr(own, "onnx_channels", None),
        )
    for cls in type(layer).__mro__:
        if cls in LAYER_MAP and type(layer).forward is cls.forward:
            return LAYER_MAP[cls]
    return None


def _specs(layers: Any) -> list[Any]:
    return list(layers) if isinstance(layers, list | tuple) else [layers]


def flat_layers(model: Layer | Sequence[Layer], name: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the layers of nested `Sequential` in order, each with its index: "3", or "3.0" inside the 3rd.

    `name` is that of the model, or of the list of layers. Layers that say of which they consist are replaced
    by these.
    """
    if isinstance(model, Layer) and hasattr(model, "to_layers"):
        model = [*model.to_layers()]
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
        row = counterpart(layer)
        if row is None or row.branches is None:
            yield place, layer
            continue
        for i, branch in enumerate(row.branches(layer)):
            yield from leaf_layers(branch, f"{place}.{i}")
