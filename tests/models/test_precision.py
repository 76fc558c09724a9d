import numpy as np
import pytest

from minicnn import Conv2D, Dense, Flatten, Pool2D, ReLU, Sequential
from minicnn.datasets import load_mnist
from minicnn.losses import softmax_cross_entropy
from minicnn.models import lenet5


def net_of_3x3():
    """Large enough that dx and dkernel of the second and third convolution are computed by Winograd's way."""
    return Sequential(
        [
            Conv2D(16, 3, padding="same"),
            ReLU(),
            Conv2D(16, 3, padding="same"),
            ReLU(),
            Pool2D(2),
            Conv2D(32, 3, padding="same"),
            ReLU(),
            Pool2D(2),
            Flatten(),
            Dense(10),
        ]
    )


def gradients(model, x, labels):
    model.train().zero_grad()
    _, dlogits = softmax_cross_entropy(model(x), labels)
    dx = model.backward(dlogits)
    return [dx, *(parameter.grad for parameter in model.parameters())]


@pytest.fixture(scope="module")
def digits():
    (x, labels), _ = load_mnist()
    return x[:32].astype(np.float32) / 255, labels[:32]


@pytest.mark.parametrize("make", [lenet5, net_of_3x3])
def test_float32_gradients_on_digits_are_those_of_float64(make, digits):
    # Digits have a constant background: equal windows, and windows of zeros, which must stay equal and zero.
    x, labels = digits
    exact = make().build((28, 28, 1), rng=0, dtype=np.float64)
    model = make().build((28, 28, 1), rng=0, dtype=np.float32)
    exact.set_weights(model.get_weights())
    expected_gradients = gradients(exact, x.astype(float), labels)
    for grad, expected in zip(gradients(model, x, labels), expected_gradients, strict=True):
        error = np.sqrt(np.mean((grad - expected) ** 2) / np.mean(expected**2))
        assert error < 1e-5
