"""Export of models as ONNX files, for onnxruntime and other ONNX runtimes."""

import os

from minicnn.layers import Layer
from minicnn.safeguards.claims import reading
from minicnn.saving.files import write_atomically

try:
    import onnx
except ImportError as error:
    raise ImportError(f"ONNX files need onnx: pip install 'minicnn-numpy[onnx]' ({error})") from error

from minicnn.interop.layer_map.own import check_chains
from minicnn.interop.onnx.graph import Graph
from minicnn.interop.onnx.nodes import append_nodes
from minicnn.safeguards.nonfinite import is_finite

__all__ = ["save_onnx", "to_onnx"]


def save_onnx(model: Layer, path: str | os.PathLike[str], layer_outputs: bool = False) -> None:
    """Write a built model as an ONNX file, see `to_onnx`; an existing file is replaced atomically."""
    write_atomically(path, to_onnx(model, layer_outputs).SerializeToString())


def to_onnx(model: Layer, layer_outputs: bool = False) -> onnx.ModelProto:
    """Return a built model, in evaluation mode, as an ONNX model that `onnx.checker` has checked.

    Input "x" and output "y" have minicnn's shapes, (N, H, W, C) and (N, ...), for any N; inside, images are
    (N, C, H, W). Everything is float32, since onnxruntime has no float64 convolution on CPUs.

    Parameters
    ----------
    model : Layer
        A built `Sequential`, or a layer alone.
    layer_outputs : bool
        Whether the output of each layer is an output of the file, too, under the layer's name: "layers.0", or
        "layers.3.0" inside of a nested `Sequential`. `Residual` and `Concatenate` are single layers.

    Raises
    ------
    RuntimeError
        If the model is not built.
    ValueError
        If a layer has no counterpart in ONNX, such as a custom layer without a method `to_onnx` or
        `to_layers`, or if such a method makes something else of it than its `forward`; the message names the
        first.

    Examples
    --------
    >>> from minicnn.models import lenet5
    >>> graph = to_onnx(lenet5().build((28, 28, 1), rng=0)).graph
    >>> [node.op_type for node in graph.node][:5]
    ['Transpose', 'Conv', 'Relu', 'MaxPool', 'Conv']
    """
    if model.input_shape is None:
        raise RuntimeError("the model is not built: call build(input_shape) first")
    for name, parameter in model.named_parameters():
        if not is_finite(parameter.value):
            raise ValueError(f"the weights {name!r} are not finite, so the model is not exported")
    graph = Graph()
    with reading(model, copied=True) as (source, _):
        check_chains(source)
        taps = append_nodes(graph, source, layer_outputs)
    return graph.model(model.input_shape, {"y": model.output_shape, **taps})
