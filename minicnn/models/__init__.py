"""Models: functions that return a `Sequential`, not built yet."""

from collections.abc import Callable
from typing import NamedTuple

from minicnn.config.registry import register_function, register_layers
from minicnn.layers import Sequential
from minicnn.models.historic.alexnet import alexnet
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample, init_1998, lenet5_1998
from minicnn.models.lenet5 import lenet5
from minicnn.models.resnet_small import resnet_small
from minicnn.models.vgg_small import vgg_small

__all__ = ["alexnet", "lenet5", "lenet5_1998", "resnet_small", "vgg_small"]


class NamedModel(NamedTuple):
    """A model that the command line can train: how to make it for a number of classes, and its input."""

    make: Callable[[int], Sequential]
    min_size: int = 1  # height and width to which smaller images are padded
    # Lower limits of the weights' bytes per pixel and per class: a run folder with less is refused.
    min_bytes: tuple[int, int] = (0, 0)


MODELS = {
    "lenet5": NamedModel(lenet5, min_bytes=(150, 4 * 84)),
    "lenet5-1998": NamedModel(lenet5_1998, min_size=32, min_bytes=(150, 4 * 84)),
    "resnet-small": NamedModel(resnet_small, min_size=8, min_bytes=(0, 4 * 128)),
    "vgg-small": NamedModel(vgg_small, min_size=4, min_bytes=(0, 4 * 128)),
}

# So that model files can name them.
register_layers(PartialConv2D, Subsample)
register_function("lenet5_1998.init_1998", init_1998)
