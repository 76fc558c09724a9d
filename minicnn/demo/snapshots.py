"""What the page shows of a network that learns, as arrays and numbers."""

from typing import Any

import numpy as np

from minicnn.config.registry import custom_classes
from minicnn.layers import Conv2D, Layer, Sequential

_MOST_POINTS = 300  # of a curve that the page gets


def untrained(model: Sequential, seed: int) -> Any:
    """Return a network of the same architecture with the random weights of a seed."""
    fresh = Layer.from_config(model.to_config(), custom_classes(model))
    return fresh.build(model.input_shape or (), rng=seed, dtype=model.dtype)


def kernels(model: Sequential) -> np.ndarray | None:
    """Return the kernels of the first convolution, (kh, kw, maps), if there is one."""
    first = next((layer for layer in model if isinstance(layer, Conv2D)), None)
    if first is None:
        return None
    kernel = first.kernel.value
    return kernel.reshape(*kernel.shape[:2], -1).copy()


def gradients(model: Sequential) -> list[dict[str, Any]]:
    """Return the largest gradient of the weights of each layer."""
    sizes = []
    for number, layer in enumerate(model):
        gradients = [abs(p.grad).max(initial=0.0) for p in layer.parameters() if p.trainable]
        if gradients:
            sizes.append({"name": f"{number} {type(layer).__name__}", "largest": float(max(gradients))})
    return sizes


def thinned(points: list[list[float]]) -> list[list[float]]:
    """Return at most about `_MOST_POINTS` points, the last one among them."""
    stride = -(-len(points) // _MOST_POINTS) or 1
    return points[::-1][::stride][::-1]
