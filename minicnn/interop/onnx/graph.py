"""An ONNX graph, built node by node."""

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Graph:
    """Nodes that follow each other: the output of each is the input of the next.

    `values` has the name of the current value, or those of several that the next node joins. `first` says
    where the channels are: first, as ONNX's convolution and pooling need them, or last, as in minicnn.
    They are moved only when the next layer needs it. `scope` is the prefix of the nodes' names.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.values, self.first, self.scope = ["x"], False, ""

    def node(self, kind: str, *weights: Any, output: str | None = None, **attributes: Any) -> None:
        """Append a node that takes the current values, with arrays as its further inputs.

        Arrays of integers remain integers; all others become float32.
        """
        name = f"{self.scope}/{kind}_{len(self.nodes)}".lstrip("/")
        inputs = list(self.values)
        for i, weight in enumerate(map(np.asarray, weights)):
            inputs.append(f"{name}/{i}")
            array = weight if weight.dtype == np.int64 else weight.astype(np.float32)
            self.weights.append(numpy_helper.from_array(array, inputs[-1]))
        self.values = [output or f"{name}/y"]
        self.nodes.append(helper.make_node(kind, inputs, self.values, name, **attributes))

    def tap(self, name: str, ndim: int) -> None:
        """Give the current value, channels last, a name as an output; the next node takes it as it was."""
        values, first = self.values, self.first
        if first and ndim > 2:
            self.node("Transpose", output=name, perm=[0, *range(2, ndim), 1])
        else:
            self.node("Identity", output=name)
        self.values, self.first = values, first

    def channels_first(self, ndim: int) -> None:
        """Move the channels to axis 1, unless they are there."""
        if not self.first and ndim > 2:
            self.node("Transpose", perm=[0, ndim - 1, *range(1, ndim - 1)])
            self.first = True

    def channels_last(self, ndim: int) -> None:
        """Move the channels to the last axis, unless they are there."""
        if self.first and ndim > 2:
            self.node("Transpose", perm=[0, *range(2, ndim), 1])
        self.first = False
