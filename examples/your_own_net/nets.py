"""A residual net with a layer of its own, for `minicnn train --model nets.py:gated`."""

from minicnn import (
    BatchNorm,
    Conv2D,
    Dense,
    GlobalAveragePool2D,
    Layer,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
)


class ChannelGate(Layer):
    """Turn each channel up or down by what the whole image shows: x * gate(mean of x).

    "Squeeze and excitation" of Hu, Shen and Sun (2018).
    """

    def __init__(self, ratio=4):
        self.ratio = ratio  # under its own name: that is all a model file needs

    def init_params(self, input_shape, rng):
        """Build the two dense layers that compute the gates."""
        channels = input_shape[-1]
        hidden = [Dense(max(channels // self.ratio, 1)), ReLU(), Dense(channels), Sigmoid()]
        self.gate = Sequential([GlobalAveragePool2D(), *hidden]).build(input_shape, rng)

    def forward(self, x):
        """Return each channel times its gate."""
        gates = self.gate(x)[:, None, None]  # (N, C) as (N, 1, 1, C)
        self.cache = x, gates
        return x * gates

    def backward(self, dy):
        """Return dL/dx: by the product, and by the gates."""
        x, gates = self.cache
        return dy * gates + self.gate.backward((dy * x).sum(axis=(1, 2)))


def gated(num_classes):
    """Return a residual net with gates, not built yet; it takes pictures of any size."""
    return Sequential([*stage(16), *stage(32), *stage(64), GlobalAveragePool2D(), Dense(num_classes)])


def stage(filters):
    """Return a convolution, half the size by pooling, and a residual block whose end has gates."""
    block = [*convolution(filters), ReLU(), *convolution(filters), ChannelGate()]
    return [*convolution(filters), ReLU(), Pool2D(2), Residual(block), ReLU()]


def convolution(filters):
    """Return a 3x3 convolution with BatchNorm, whose offset takes the place of a bias."""
    return [Conv2D(filters, 3, padding="same", use_bias=False), BatchNorm(momentum=0.9)]
