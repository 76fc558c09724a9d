"""The kit that finds the bug in anyone's layer.

`check_layer` is the whole of it in one call. `strategies` draws cases with hypothesis and is imported by
hand, since it alone needs that package: `pip install "minicnn-numpy[testing]"`.
"""

from minicnn.testing.check import CHECKS, check_layer
from minicnn.testing.parametrize import parametrize_with_checks
from minicnn.testing.report import Failure, LayerCheckError

__all__ = ["CHECKS", "Failure", "LayerCheckError", "check_layer", "parametrize_with_checks"]
