"""AlexNet (Krizhevsky, Sutskever and Hinton 2012), the winner of the ImageNet competition of that year.

"Section" and "Figure" below are those of the paper, "ImageNet classification with deep convolutional neural
networks", NIPS 2012.
"""

from functools import partial

from minicnn.initializers import normal, ones
from minicnn.layers import Conv2D, Dense, Dropout, Flatten, LocalResponseNorm, Pool2D, ReLU, Sequential
from minicnn.validation import check_real


def alexnet(num_classes: int = 1000, groups: int = 2, width: float = 1.0) -> Sequential:
    """Return AlexNet, for images of 227x227x3: 60,965,224 parameters.

    Everything is as in the paper: five convolutions and three dense layers (section 3.5), local response
    normalisation after the first two ReLUs (3.3), overlapping pooling (3.4), dropout in its original form
    (4.2), weights with a standard deviation of 0.01, and biases of 1 where the paper has them, which give
    ReLUs positive inputs from the start (5). The softmax is in the loss: the model returns logits.

    The paper states images of 224x224. But the maps of the first convolution are 55x55 in its Figure 2:
    windows of 11 with a stride of 4 fit exactly 55 times into 227 rows, and 54 times into 224 rows, with a
    remainder.

    The paper's pixels are 0 to 255 minus their mean over the training set (section 2). The weights of 0.01
    and the constants of the normalisation are chosen for this range. `Trainer` scales uint8 images to 0 to 1,
    so pass it floats. (The function is long because each layer has a line.)

    Parameters
    ----------
    num_classes : int
        Number of logits.
    groups : int
        2 as in the paper, where each half of the channels was on its own graphics card and the halves were
        connected in the third convolution and the dense layers. 1 connects all channels.
    width : float
        Fraction of the paper's filters and hidden units, for small experiments. Images may be smaller too,
        down to 67x67.

    Examples
    --------
    >>> model = alexnet(10, width=1 / 16).build((67, 67, 3), rng=0)
    >>> [layer.filters for layer in model if isinstance(layer, Conv2D)], model.output_shape
    ([6, 16, 24, 24, 16], (10,))
    """
    share = check_real(width, "width", above_low=True)
    conv = partial(Conv2D, padding="same", kernel_initializer=normal(0.01))
    dense = partial(Dense, kernel_initializer=normal(0.01))
    units = round(4096 * share)
    return Sequential(
        [
            conv(round(96 * share), 11, strides=4, padding="valid"),
            ReLU(),
            LocalResponseNorm(),
            Pool2D(3, strides=2),
            conv(round(256 * share), 5, groups=groups, bias_initializer=ones),
            ReLU(),
            LocalResponseNorm(),
            Pool2D(3, strides=2),
            conv(round(384 * share), 3),
            ReLU(),
            conv(round(384 * share), 3, groups=groups, bias_initializer=ones),
            ReLU(),
            conv(round(256 * share), 3, groups=groups, bias_initializer=ones),
            ReLU(),
            Pool2D(3, strides=2),
            Flatten(),
            dense(units, bias_initializer=ones),
            ReLU(),
            Dropout(0.5, inverted=False),
            dense(units, bias_initializer=ones),
            ReLU(),
            Dropout(0.5, inverted=False),
            dense(num_classes),
        ]
    )
