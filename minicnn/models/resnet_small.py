"""A small residual network."""

from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    GlobalMaxPool2D,
    Layer,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
)


def resnet_small(num_classes: int = 10) -> Sequential:
    """Return a small residual network with BatchNorm, made for images of about 28x28 or 32x32 pixels.

    Four 3x3 convolutions, with 32, 64 and twice 128 channels, halve the image three times by max pooling.
    Pooling comes before BatchNorm and ReLU, which so have a quarter of the values to work on. After the first
    and the last pooling, a residual block (He et al. 2016) of two convolutions corrects the result: where the
    pixels are many, and where the channels are. The order is that of the fast ResNet-9 of Page, "How to train
    your ResNet" (2018), a network for CIFAR-10, with fewer channels. The softmax is in the loss: the model
    returns logits. On 28x28x1 it has 409,258 parameters.

    The running averages of BatchNorm move by a tenth in each step, so that also the first epoch of a small
    data set is evaluated with its own statistics.

    Parameters
    ----------
    num_classes : int
        Number of logits.

    Examples
    --------
    >>> model = resnet_small().build((32, 32, 3), rng=0)
    >>> model.output_shape
    (10,)
    """
    return Sequential(
        [
            *_halving(32),
            *_residual(32),
            *_halving(64),
            *_halving(128),
            *_residual(128),
            GlobalMaxPool2D(),
            Dense(num_classes),
        ]
    )


def _halving(filters: int) -> list[Layer]:
    """Return a convolution, pooling, BatchNorm and ReLU."""
    convolution, norm = _convolution(filters)
    return [convolution, Pool2D(2), norm, ReLU()]


def _convolution(filters: int) -> list[Layer]:
    """Return a 3x3 convolution and BatchNorm, whose offset takes the place of a bias."""
    return [Conv2D(filters, 3, padding="same", use_bias=False), BatchNorm(momentum=0.9)]


def _residual(filters: int) -> list[Layer]:
    return [Residual([*_convolution(filters), ReLU(), *_convolution(filters)]), ReLU()]
