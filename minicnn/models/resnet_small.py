"""A small residual network."""

from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    GlobalAveragePool2D,
    Layer,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
)


def resnet_small(num_classes: int = 10) -> Sequential:
    """Return a small residual network with BatchNorm, made for images of about 28x28 or 32x32 pixels.

    After one convolution and a pooling, three stages of 32, 64 and 128 channels halve the image in turn. In
    each stage, a 3x3 convolution changes the shape, and a residual block of two (He et al. 2016) corrects its
    result. The mean of each channel goes to the last layer. The softmax is in the loss: the model returns
    logits. On 28x28x1 it has 482,154 weights.

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
            *_convolution(32),
            ReLU(),
            Pool2D(2),
            *_residual(32),
            *_convolution(64, strides=2),
            ReLU(),
            *_residual(64),
            *_convolution(128, strides=2),
            ReLU(),
            *_residual(128),
            GlobalAveragePool2D(),
            Dense(num_classes),
        ]
    )


def _convolution(filters: int, strides: int = 1) -> list[Layer]:
    """Return a 3x3 convolution and BatchNorm, whose offset takes the place of a bias."""
    return [Conv2D(filters, 3, strides, padding="same", use_bias=False), BatchNorm(momentum=0.9)]


def _residual(filters: int) -> list[Layer]:
    return [Residual([*_convolution(filters), ReLU(), *_convolution(filters)]), ReLU()]
