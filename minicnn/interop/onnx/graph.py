"""A graph of ONNX that grows by one node after the other."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper


class Graph:
    """Nodes in a row: each takes what the one before gave.

    `first` says where the channels are now: first, as convolutions and poolings want them, or last, as they
    are outside. They are moved only when the next layer needs it.
    """

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.value, self.first, self.place = "x", False, ""

    def node(self, kind: str, *weights: Any, output: str | None = None, **attributes: Any) -> None:
        """Add a node that takes the value so far, and arrays as its further inputs."""
        name = f"{self.place}/{kind}_{len(self.nodes)}".lstrip("/")
        inputs = [self.value]
        for i, weight in enumerate(weights):
            inputs.append(f"{name}/{i}")
            self.weights.append(numpy_helper.from_array(np.asarray(weight, np.float32), inputs[-1]))
        self.value = output or f"{name}/y"
        self.nodes.append(helper.make_node(kind, inputs, [self.value], name, **attributes))

    def channels_first(self, ndim: int) -> None:
        """See to it that the channels come right after the examples."""
        if not self.first and ndim > 2:
            self.node("Transpose", perm=[0, ndim - 1, *range(1, ndim - 1)])
            self.first = True

    def channels_last(self, ndim: int) -> None:
        """See to it that the channels come last."""
        if self.first and ndim > 2:
            self.node("Transpose", perm=[0, *range(2, ndim), 1])
        self.first = False
