"""Tests for your own layers: gradients against finite differences, and the rest of the layer contract.

`check_layer` runs all checks in one call, `parametrize_with_checks` makes pytest tests of them, and `ZOO` has
broken layers to practise on. `from_functions`, `from_object`, `from_torch` and `from_jax` make layers of
anybody's code; `check_loss`, `check_metric` and `check_optimizer` test the other parts of a training. The
modules `properties` (exact properties of functions) and `strategies` (random test cases, which need
hypothesis: `pip install 'minicnn-numpy[testing]'`) are imported by name.
"""

from minicnn.testing.adapters import from_functions, from_jax, from_object, from_torch
from minicnn.testing.check import check_layer
from minicnn.testing.loss_checks import check_loss
from minicnn.testing.metric_checks import check_metric
from minicnn.testing.optimizer_checks import check_optimizer
from minicnn.testing.optimizer_references import AdamSteps, SGDSteps
from minicnn.testing.parametrize import parametrize_with_checks
from minicnn.testing.presets import PRESETS
from minicnn.testing.report import Failure, LayerCheckError, LayerCheckRemark, Remark
from minicnn.testing.running import CHECKS
from minicnn.testing.zoo import ZOO, Specimen

__all__ = [
    "CHECKS",
    "PRESETS",
    "ZOO",
    "AdamSteps",
    "Failure",
    "LayerCheckError",
    "LayerCheckRemark",
    "Remark",
    "SGDSteps",
    "Specimen",
    "check_layer",
    "check_loss",
    "check_metric",
    "check_optimizer",
    "from_functions",
    "from_jax",
    "from_object",
    "from_torch",
    "parametrize_with_checks",
]
