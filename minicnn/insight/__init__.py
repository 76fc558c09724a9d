"""Looking inside a trained net: what each layer sees, what an answer hangs on. `minicnn.plots` draws it."""

from minicnn.insight.distributions import Distributions
from minicnn.insight.patches import Patches, receptive_field, strongest_patches
from minicnn.insight.projection import last_hidden, principal_components
from minicnn.insight.saliency import class_gradient, grad_cam, occlusion
from minicnn.insight.trace import Trace, blocks

__all__ = [
    "Distributions",
    "Patches",
    "Trace",
    "blocks",
    "class_gradient",
    "grad_cam",
    "last_hidden",
    "occlusion",
    "principal_components",
    "receptive_field",
    "strongest_patches",
]
