"""LeNet-5 in its modern form."""

from minicnn.layers import Conv2D, Dense, Flatten, Pool2D, ReLU, Sequential


def lenet5(num_classes: int = 10) -> Sequential:
    """Return the modern LeNet-5: ReLU and max pooling in place of LeCun et al.'s (1998) tanh and averages.

    The softmax is in the loss: the model returns logits. On 28x28x1 it has 61,706 parameters.

    Parameters
    ----------
    num_classes : int
        Number of logits.

    Examples
    --------
    >>> model = lenet5().build((28, 28, 1), rng=0)
    >>> sum(parameter.size for parameter in model.parameters())
    61706
    """
    return Sequential(
        [
            Conv2D(6, 5, padding="same"),
            ReLU(),
            Pool2D(2),
            Conv2D(16, 5),
            ReLU(),
            Pool2D(2),
            Flatten(),
            Dense(120),
            ReLU(),
            Dense(84),
            ReLU(),
            Dense(num_classes),
        ]
    )
