"""Models: functions that return a `Sequential`, to be built and trained by whoever asks for them."""

from minicnn.models.historic.alexnet import alexnet
from minicnn.models.historic.lenet5_1998 import lenet5_1998
from minicnn.models.lenet5 import lenet5

__all__ = ["alexnet", "lenet5", "lenet5_1998"]
