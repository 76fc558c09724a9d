"""A small VGG: pairs of 3x3 convolutions, each pair followed by a pooling."""

from minicnn.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, Layer, Pool2D, ReLU, Sequential


def vgg_small(num_classes: int = 10) -> Sequential:
    """Return a small VGG with BatchNorm, made for images of about 28x28 or 32x32 pixels.

    Simonyan and Zisserman (2015) stack 3x3 convolutions: two of them see 5x5 pixels, with fewer weights than
    one 5x5 kernel, and with one more ReLU. A pooling halves the image, and the next pair doubles the channels
    from 32 to 64. The softmax is in the loss: the model returns logits. On 28x28x1 it has 468,010 weights.

    The running averages of BatchNorm move by a tenth in each step, so that also the first epoch of a small
    data set is evaluated with its own statistics.

    Parameters
    ----------
    num_classes : int
        Number of logits.

    Examples
    --------
    >>> model = vgg_small().build((32, 32, 3), rng=0)
    >>> model.output_shape
    (10,)
    """
    return Sequential(
        [
            *_convolution(32),
            *_convolution(32),
            Pool2D(2),
            *_convolution(64),
            *_convolution(64),
            Pool2D(2),
            Flatten(),
            Dropout(0.25),
            Dense(128),
            ReLU(),
            Dropout(0.25),
            Dense(num_classes),
        ]
    )


def _convolution(filters: int) -> list[Layer]:
    """Return a 3x3 convolution, BatchNorm and ReLU; BatchNorm's offset takes the place of a bias."""
    return [Conv2D(filters, 3, padding="same", use_bias=False), BatchNorm(momentum=0.9), ReLU()]
