"""Layers of anybody's: functions, objects, PyTorch and JAX, as a `Layer` that `check_layer` takes."""

from minicnn.testing.adapters.functions import from_functions
from minicnn.testing.adapters.jax import from_jax
from minicnn.testing.adapters.objects import from_object
from minicnn.testing.adapters.pytorch import from_torch

__all__ = ["from_functions", "from_jax", "from_object", "from_torch"]
