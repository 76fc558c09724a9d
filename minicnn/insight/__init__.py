"""Looking inside a trained network: feature maps, saliency, receptive fields. `minicnn.plots` draws them."""

from minicnn.insight.distributions import Distributions
from minicnn.insight.patches import Patches, strongest_patches
from minicnn.insight.projection import last_hidden, principal_components
from minicnn.insight.saliency import class_gradient, grad_cam, occlusion
from minicnn.insight.trace import Block, Trace, blocks
from minicnn.insight.windows import receptive_field

__all__ = [
    "Block",
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
