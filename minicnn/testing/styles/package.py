"""Layers of `correct_layers` and nets of the package's own layers, as styles."""

from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
    Softmax,
)
from minicnn.testing import correct_layers as layers
from minicnn.testing.styles.style import STYLES, Style, right

right((3, 2))(layers.Scale)
right((4, 4, 3))(layers.PReLU)
right((7,))(layers.GELU)
right((3, 3, 4))(layers.LayerNorm)
right((2,), 1e-6)(layers.LayerNorm)
right((3, 3, 2))(layers.InstanceNorm)
right((6, 5, 3), 3, 2)(layers.DepthwiseConv2D)
right((4, 5, 3), 2, 2)(layers.TransposedConv2D)
right((4, 4, 1), 2, 5, 1, "valid")(layers.TransposedConv2D)
right((4, 4, 3), 2)(layers.SqueezeExcite)
right((1, 2, 3), 1)(layers.ResidualBlock)
right((5, 5, 2), 4)(layers.ResidualBlock)
right((5, 5, 2))(layers.ConvTanh)
right((4, 3, 2))(layers.CReLU)
right((5,), 3)(layers.Maxout)


def _net(name: str, input_shape: tuple[int, ...], *parts: object) -> None:
    STYLES[name] = Style(Sequential, input_shape, ([*parts],))


# The bias has the gradient 0, up to rounding noise with few digits.
_net("bias before BatchNorm", (6, 6, 4), Conv2D(16, 3, padding="same"), BatchNorm())
_net("dense before BatchNorm", (7,), Dense(32), BatchNorm())
_net("bias before InstanceNorm", (6, 6, 2), Conv2D(3, 3), layers.InstanceNorm(), ReLU())
_net("padded twice", (6, 6, 2), Pool2D(3, 1, "same"), ReLU(), Conv2D(2, 3))
_net("small LeNet", (9, 9, 1), Conv2D(3, 3), ReLU(), Pool2D(3, 2), Flatten(), Dense(4))
_net("dense classifier", (5,), Dense(4), BatchNorm(), ReLU(), Dropout(0.5), Dense(3), Softmax())
_net(
    "residual", (4, 4, 2), Residual([Conv2D(2, 3, padding="same"), BatchNorm(), ReLU()]), Flatten(), Dense(2)
)
