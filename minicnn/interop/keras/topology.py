"""The order of the layers in a Keras model, and the branches between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import keras

from minicnn.interop.keras.unread import require_own_call


class Junction(NamedTuple):
    """A Keras layer that joins branches, all of which start from the same tensor.

    Attributes
    ----------
    layer : keras.Layer
    branches : list of list of Step
        The layers of each input, in order; none if that input is the tensor itself.
    """

    layer: keras.Layer
    branches: list[list[Step]]


Step: TypeAlias = "keras.Layer | Junction"


def ordered_layers(model: keras.Model) -> list[Step]:
    """Return the layers of a model, and of models nested in it, in order.

    Raises
    ------
    ValueError
        If the layers form no chain, apart from branches that start from one tensor and are joined again.
    """
    require_own_call(model)
    steps = model.layers if isinstance(model, keras.Sequential) else _Graph(model).steps()
    return _unnested(steps)


def leaf_layers(steps: Sequence[Step]) -> Iterator[keras.Layer]:
    """Yield the layers, those of branches before the layer that joins them."""
    for step in steps:
        if isinstance(step, Junction):
            for branch in step.branches:
                yield from leaf_layers(branch)
            yield step.layer
        else:
            yield step


def _unnested(steps: Sequence[Step]) -> list[Step]:
    """Return the steps with nested models replaced by their layers, without input layers."""
    found: list[Step] = []
    for step in steps:
        if isinstance(step, Junction):
            found.append(Junction(step.layer, [_unnested(branch) for branch in step.branches]))
        elif isinstance(step, keras.Model):
            found += ordered_layers(step)
        elif not isinstance(step, keras.layers.InputLayer):
            found.append(step)
    return found


class _Graph:
    """The tensors of a functional model, read backwards, from the output to the input."""

    def __init__(self, model: keras.Model) -> None:
        ends = [getattr(model, side, None) or [] for side in ("inputs", "outputs")]
        if [len(tensors) for tensors in ends] != [1, 1]:
            raise ValueError(
                "only a Sequential, or a functional model from one input to one output, can be converted, "
                f"not {type(model).__name__} {model.name!r}"
            )
        self.output = ends[1][0]
        self._forks: dict[int, Any] = {}  # by the id of the tensor behind the joint
        self._seen: set[int] = set()

    def steps(self) -> list[Step]:
        """Return the steps from the input to the output."""
        return self._steps(self.output, None)

    def _steps(self, tensor: Any, start: Any) -> list[Step]:
        """Return the steps between two tensors; `start` is None for the input of the model."""
        found: list[Step] = []
        while tensor is not None and tensor is not start:
            layer, inputs = _origin(tensor)
            if id(tensor) in self._seen:
                raise ValueError(
                    f"layer {layer.name!r} ({type(layer).__name__}) has no counterpart in minicnn: its "
                    "output is used by two branches that do not start from it"
                )
            self._seen.add(id(tensor))
            before = self._before(tensor)
            if len(inputs) > 1:
                branches = [self._steps(each, before) for each in inputs]
                found.append(Junction(_as_layer(layer), branches))
            else:
                found.append(layer)
            tensor = before
        return found[::-1]

    def _before(self, tensor: Any) -> Any:
        """Return the last tensor before this one that all paths go through; None if this is the input."""
        _, inputs = _origin(tensor)
        if len(inputs) < 2:
            return inputs[0] if inputs else None
        if id(tensor) not in self._forks:
            first, *others = (self._all_before(each) for each in inputs)
            shared = set.intersection(*({id(each) for each in other} for other in others))
            self._forks[id(tensor)] = next(each for each in first if id(each) in shared)
        return self._forks[id(tensor)]

    def _all_before(self, tensor: Any) -> list[Any]:
        """Return this tensor and all others that every path to it goes through, the input last."""
        found = []
        while tensor is not None:
            found.append(tensor)
            tensor = self._before(tensor)
        return found


def _origin(tensor: Any) -> tuple[keras.Layer, list[Any]]:
    """Return the layer that made a tensor, and the inputs of that call of it, from Keras's record."""
    layer, node, _ = tensor._keras_history
    return layer, layer._inbound_nodes[node].input_tensors


def _as_layer(operation: Any) -> keras.Layer:
    """Return the layer that does the same if the operation is the `+` of two tensors, else the operation."""
    is_sum = type(operation).__name__ == "Add" and type(operation).__module__.startswith("keras.")
    return keras.layers.Add(name=operation.name) if is_sum else operation
