"""Hypothesis strategies for layers, images and geometries.

They draw shapes, arguments and a seed, and NumPy generates the values from it. So failures shrink to the
smallest shape. They need hypothesis: `pip install 'minicnn-numpy[testing]'`.
"""

try:
    import hypothesis  # noqa: F401
except ImportError as error:
    raise ImportError("strategies need hypothesis: pip install 'minicnn-numpy[testing]'") from error

from minicnn.testing.strategies.layers import LayerCase, layer_cases
from minicnn.testing.strategies.nets import nets
from minicnn.testing.strategies.values import (
    dtypes,
    image_shapes,
    images,
    input_shapes,
    layouts,
    paddings,
    pairs,
    seeds,
    strides,
)

__all__ = [
    "LayerCase",
    "dtypes",
    "image_shapes",
    "images",
    "input_shapes",
    "layer_cases",
    "layouts",
    "nets",
    "paddings",
    "pairs",
    "seeds",
    "strides",
]
