"""Tests for your own layers: gradients against finite differences, and the rest of the layer contract.

`check_layer` runs all checks in one call, `parametrize_with_checks` makes pytest tests of them, and `ZOO` has
broken layers to practise on. The modules `properties` (exact properties of functions) and `strategies`
(random test cases, which need hypothesis: `pip install 'minicnn-numpy[testing]'`) are imported by name.
"""

from minicnn.testing.adapters import from_functions, from_jax, from_object, from_torch
from minicnn.testing.check import CHECKS, check_layer
from minicnn.testing.parametrize import parametrize_with_checks
from minicnn.testing.presets import PRESETS
from minicnn.testing.report import Failure, LayerCheckError, LayerCheckRemark, Remark
from minicnn.testing.zoo import ZOO, Specimen

__all__ = [
    "CHECKS",
    "PRESETS",
    "ZOO",
    "Failure",
    "LayerCheckError",
    "LayerCheckRemark",
    "Remark",
    "Specimen",
    "check_layer",
    "from_functions",
    "from_jax",
    "from_object",
    "from_torch",
    "parametrize_with_checks",
]
