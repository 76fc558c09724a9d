"""The order of the layers in a Keras model."""

from __future__ import annotations

from collections.abc import Iterator

import keras


def ordered_layers(model: keras.Model) -> Iterator[keras.Layer]:
    """Yield the layers of a model, and of models nested in it, in order; each may feed only the next."""
    layers = model.layers if isinstance(model, keras.Sequential) else _functional_chain(model)
    for layer in layers:
        if isinstance(layer, keras.Model):
            yield from ordered_layers(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _functional_chain(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of a functional model, walking back from its output."""
    ends = [getattr(model, side, None) or [] for side in ("inputs", "outputs")]
    if [len(tensors) for tensors in ends] != [1, 1]:
        raise ValueError(
            "only a Sequential, or a functional model whose layers form one chain, from one input to one "
            f"output, can be converted, not {type(model).__name__} {model.name!r}"
        )
    layers, inputs, joint = [], ends[1], None
    while inputs:
        # Keras's record of the layer, and the call of it, that made the tensor.
        layer, node, _ = inputs[0]._keras_history
        layers.append(layer)
        inputs = layer._inbound_nodes[node].input_tensors
        joint = layer if len(inputs) > 1 else joint
    if joint is not None:
        raise ValueError(
            f"layer {joint.name!r} ({type(joint).__name__}) has no counterpart in minicnn: it joins several "
            "inputs, but the layers of a minicnn model form one chain"
        )
    return layers[::-1]
