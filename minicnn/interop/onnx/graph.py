"""An ONNX graph, built node by node."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from minicnn.version import __version__

_OPSET, _IR = 17, 8  # of 2022: every current runtime reads these


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

    def model(self, input_shape: tuple[int, ...], outputs: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
        """Return the checked model from "x" to "y", the current value, and to other outputs.

        Shapes are those of an example.

        Raises
        ------
        ValueError
            If the nodes are no valid graph.
        """
        self.channels_last(len(outputs["y"]) + 1)
        self.node("Identity", output="y")
        ends = [
            helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["N", *shape])
            for name, shape in (("x", input_shape), *outputs.items())
        ]
        proto = helper.make_model(
            helper.make_graph(self.nodes, "minicnn", ends[:1], ends[1:], self.weights),
            producer_name="minicnn",
            producer_version=__version__,
            ir_version=_IR,
            opset_imports=[helper.make_opsetid("", _OPSET)],
        )
        try:
            onnx.checker.check_model(proto, full_check=True)
        except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
            first = str(error).partition("\n")[0]  # the others follow from it
            raise ValueError(f"the nodes are no valid ONNX graph: {first}") from error
        return proto
