"""What the page shows of a network that learns, as arrays and numbers."""

import math
import threading
import time
from typing import Any

import numpy as np

from minicnn.demo.inputs import Inputs
from minicnn.insight import blocks
from minicnn.insight.trace import Block, unnested
from minicnn.layers import Conv2D, Dense, ReLU, Sequential
from minicnn.ops.activations import softmax

_MOST_VALUES = 1 << 16  # of the maps that the page gets
_LARGEST = 1e38  # stands for what is not finite, which JSON does not have
_PROBE_EVERY = 0.5  # seconds between two searches for dead units, while the network learns


class Gradients:
    """The size of the gradient in each layer of a network that is trained; its parameters are found once."""

    def __init__(self, model: Sequential) -> None:
        self._layers = [
            (f"{number} {type(layer).__name__}", [p for p in layer.parameters() if p.trainable])
            for number, layer in enumerate(model)
        ]

    def sizes(self) -> list[dict[str, Any]]:
        """Return the root mean square of the gradient of each layer's weights."""
        return [
            {"name": name, "size": _root_mean_square([p.grad for p in parameters])}
            for name, parameters in self._layers
            if parameters
        ]


def _root_mean_square(arrays: list[np.ndarray]) -> float:
    flat = [array.ravel() for array in arrays]
    with np.errstate(all="ignore"):
        squares = sum(float(one @ one) for one in flat)
    size = math.sqrt(squares / sum(one.size for one in flat))
    return size if math.isfinite(size) else _LARGEST


class Viewer:
    """A copy of a network that is asked about images while the other one learns.

    Parameters
    ----------
    model : Sequential
        A built network of that architecture; it belongs to the viewer.
    inputs : Inputs
        How images become inputs.
    probe : ndarray
        Images by which dead units are found.
    """

    def __init__(self, model: Sequential, inputs: Inputs, probe: np.ndarray) -> None:
        self._layers = unnested(model.eval())
        self._parameters = model.parameters()
        self._kernel = next((layer.kernel for layer in self._layers if isinstance(layer, Conv2D)), None)
        self._blocks = [block for block in blocks(model) if len(self._layers[block.last].output_shape) == 3]
        self._inputs, self._probe = inputs, probe
        self._dead: list[dict[str, Any]] = []
        self._probed = -math.inf, -1  # when, and at which step
        self._lock = threading.Lock()

    def look(self, weights: list[np.ndarray], step: int, image: np.ndarray | None) -> dict[str, Any]:
        """Return kernels and dead units; with an image, also its maps and probabilities."""
        with self._lock, np.errstate(all="ignore"):
            for parameter, value in zip(self._parameters, weights, strict=True):
                parameter.value[...] = value
            found: dict[str, Any] = {"kernels": self._kernels(), "dead": self._find_dead(step)}
            if image is not None:
                outputs = self._run(self._inputs.to_batch(image))
                found["probabilities"] = softmax(outputs[-1])[0]
                found["maps"] = [
                    {"name": self._called(block), "values": outputs[block.last][0]}
                    for block in self._blocks
                    if outputs[block.last].size <= _MOST_VALUES
                ]
        return found

    def _called(self, block: Block) -> str:
        """Return the layer whose output a block has: the activation after a convolution, if there is one."""
        last = f"{block.last} {type(self._layers[block.last]).__name__}"
        return last if last == block.name else f"{last}, after {block.name}"

    def _run(self, x: np.ndarray) -> list[np.ndarray]:
        return [x := layer(x) for layer in self._layers]

    def _kernels(self) -> np.ndarray | None:
        """Return the kernels of the first convolution, (kh, kw, maps), if there is one."""
        if self._kernel is None:
            return None
        kernel = self._kernel.value
        return kernel.reshape(*kernel.shape[:2], -1).copy()

    def _find_dead(self, step: int) -> list[dict[str, Any]]:
        """Return how many units of each ReLU are 0 for all images of the probe, now or just before."""
        last, at = self._probed
        if step != at and time.monotonic() - last > _PROBE_EVERY:
            outputs, name, self._dead = self._run(self._inputs.to_floats(self._probe)), "", []
            for number, (layer, y) in enumerate(zip(self._layers, outputs, strict=True)):
                if isinstance(layer, Conv2D | Dense):
                    name = f"{number} {type(layer).__name__}"
                elif isinstance(layer, ReLU):
                    alive = (y != 0).any(axis=tuple(range(y.ndim - 1)))
                    self._dead.append({"name": name, "dead": int((~alive).sum()), "units": alive.size})
            self._probed = time.monotonic(), step
        return self._dead
