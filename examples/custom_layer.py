"""A layer of your own: PReLU, a ReLU with a learned slope for negative values, one for each channel.

    python examples/custom_layer.py

First its gradients are compared with finite differences, then it replaces ReLU in a net that learns MNIST.
The layer is from He et al., "Delving deep into rectifiers" (2015).
"""

import argparse

import numpy as np

from minicnn import Adam, Conv2D, Dense, Flatten, Layer, Parameter, Pool2D, Sequential, Trainer
from minicnn.datasets import load_mnist
from minicnn.testing import check_layer


class PReLU(Layer):
    """x where x > 0, otherwise slope * x, with one learned slope for each channel."""

    def init_params(self, input_shape, rng):
        """Create the slopes, with the initial value 0.25 of the paper."""
        self.slope = Parameter(np.full(input_shape[-1], 0.25))

    def forward(self, x):
        """Return x, with negative values multiplied by the slope of their channel."""
        self.cache = x
        return np.where(x > 0, x, x * self.slope.value)

    def backward(self, dy):
        """Return dL/dx; add the gradient of the slopes, summed over all axes but the channels."""
        x = self.cache
        self.slope.add_grad((dy * np.minimum(x, 0)).sum(axis=tuple(range(x.ndim - 1))))
        return np.where(x > 0, dy, dy * self.slope.value)


def largest_error(layer: Layer, x: np.ndarray, step: float = 1e-6) -> float:
    """Return the largest difference between the gradients of `backward` and central differences.

    The loss is sum(weights * layer(x)), so dL/dy is `weights`. Each element of x and of the parameters is
    shifted by `step` in both directions.
    """
    layer.train().zero_grad()
    weights = np.random.default_rng(1).normal(size=layer(x).shape)
    gradients = [(x, layer.backward(weights)), *((p.value, p.grad) for p in layer.parameters())]
    errors = []
    for values, gradient in gradients:
        for index in np.ndindex(values.shape):
            value = values[index]
            values[index] = value + step
            above = (weights * layer(x)).sum()
            values[index] = value - step
            below = (weights * layer(x)).sum()
            values[index] = value
            errors.append(abs((above - below) / (2 * step) - gradient[index]))
    return float(max(errors))


def main(argv: list[str] | None = None) -> None:
    """Check the layer, then train a net with it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--limit", type=int, help="number of training images (default: all)")
    args = parser.parse_args(argv)

    layer = PReLU().build((4, 4, 3), rng=0, dtype=np.float64)
    error = largest_error(layer, np.random.default_rng(0).normal(size=(2, 4, 4, 3)))
    print(f"largest difference from numeric gradients: {error:.1e}")

    # The same and many more checks in one call, which raises an error with a report if one fails.
    check_layer(PReLU, (4, 4, 3))
    print("check_layer found nothing wrong")

    (x_train, y_train), (x_test, y_test) = load_mnist()
    model = Sequential(
        [Conv2D(8, 5), PReLU(), Pool2D(2), Conv2D(16, 5), PReLU(), Pool2D(2), Flatten(), Dense(10)]
    ).build((28, 28, 1), rng=0)
    trainer = Trainer(model, Adam(lr=2e-3))
    trainer.fit(x_train[: args.limit], y_train[: args.limit], args.epochs, batch_size=128)
    print(f"test accuracy: {100 * trainer.evaluate(x_test, y_test)['accuracy']:.2f} %")
    print(f"learned slopes of the first PReLU: {model[1].slope.value.round(2)}")


if __name__ == "__main__":
    main()
