"""The layers of a Keras model in a row, and which of them belong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import keras


def chain(model: keras.Model) -> Iterator[keras.Layer]:
    """Yield the layers in order, those of nested models too, if each feeds the next and nothing else."""
    layers = model.layers if isinstance(model, keras.Sequential) else _functional_chain(model)
    for layer in layers:
        if isinstance(layer, keras.Model):
            yield from chain(layer)
        elif not isinstance(layer, keras.layers.InputLayer):
            yield layer


def _functional_chain(model: keras.Model) -> list[keras.Layer]:
    """Return the layers of a functional model, walking back from its output."""
    ends = [getattr(model, side, None) or [] for side in ("inputs", "outputs")]
    if [len(tensors) for tensors in ends] != [1, 1]:
        raise ValueError(
            "a model must be a Sequential, or a functional model whose layers form one chain, from one input "
            f"to one output, got {type(model).__name__} {model.name!r}"
        )
    layers, inputs, joint = [], ends[1], None
    while inputs:
        # The record of Keras's that every tensor has since its beginnings: which call of which layer made it.
        layer, node, _ = inputs[0]._keras_history
        layers.append(layer)
        inputs = layer._inbound_nodes[node].input_tensors
        joint = layer if len(inputs) > 1 else joint
    if joint is not None:
        raise ValueError(
            f"layer {joint.name!r} ({type(joint).__name__}) has no counterpart in minicnn: it joins several "
            "inputs, but layers must form one chain"
        )
    return layers[::-1]


def groups(layers: Sequence[keras.Layer]) -> Iterator[Sequence[keras.Layer]]:
    """Yield the layers, those together that `to_keras` makes of one of ours."""
    i = 0
    while i < len(layers):
        kinds = [type(layer).__name__ for layer in layers[i : i + 3]]
        length = 1
        if kinds[:2] in (["ZeroPadding2D", "Conv2D"], ["Rescaling", "Dropout"]):
            length = 2
        elif kinds == ["Rescaling", "Activation", "Rescaling"]:
            length = 3
        yield layers[i : i + length]
        i += length
