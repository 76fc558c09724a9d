"""A net with a layer of its own, for `minicnn train --model nets.py:tiny`, and the file that holds it."""

import argparse
import tempfile
from pathlib import Path

import numpy as np

from minicnn import (
    Adam,
    BatchNorm,
    Conv2D,
    Dense,
    GlobalAveragePool2D,
    Layer,
    Parameter,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
    Trainer,
    load_model,
    save_model,
)
from minicnn.datasets import load_mnist
from minicnn.ops import sigmoid


class Swish(Layer):
    """x * sigmoid(beta * x), with a learned beta for each channel."""

    def __init__(self, beta=1.0):
        self.beta = beta  # an argument is kept under its own name: that is all a model file needs

    def init_params(self, input_shape, rng):
        """Create the betas."""
        self.betas = Parameter(np.full(input_shape[-1], self.beta))

    def forward(self, x):
        """Return x times its gate."""
        gate = sigmoid(x * self.betas.value.astype(x.dtype))
        self.cache = x, gate
        return x * gate

    def backward(self, dy):
        """Return dL/dx; add the gradient of the betas."""
        x, gate = self.cache
        slope = gate * (1 - gate)
        axes = tuple(range(x.ndim - 1))
        self.betas.add_grad((dy * x * x * slope).sum(axis=axes, dtype=np.float64))
        return dy * (gate + x * self.betas.value.astype(x.dtype) * slope)


def tiny(num_classes):
    """Return a residual net of 1,546 parameters, not built yet."""
    block = Residual([Conv2D(8, 3, padding="same"), BatchNorm(0.9), Swish(), Conv2D(8, 3, padding="same")])
    head = [GlobalAveragePool2D(), Dense(num_classes)]
    return Sequential([Conv2D(8, 5, strides=2), ReLU(), Pool2D(2), block, BatchNorm(0.9), Swish(0.5), *head])


def main(argv=None):
    """Train for an epoch, save, load, and compare the predictions."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=20_000, help="training images (default: 20000)")
    parser.add_argument("--out", type=Path, help="model file (default: none is kept)")
    args = parser.parse_args(argv)
    (x_train, y_train), (x_test, y_test) = load_mnist()
    model = tiny(10).build((28, 28, 1), rng=0)
    trainer = Trainer(model, Adam(lr=3e-3))
    trainer.fit(x_train[: args.limit], y_train[: args.limit], epochs=1, batch_size=64)
    print(f"test accuracy: {100 * trainer.evaluate(x_test, y_test)['accuracy']:.2f} %")
    with tempfile.TemporaryDirectory() as folder:
        path = args.out or Path(folder, "net.safetensors")
        save_model(model, path, class_names=[f"digit {i}" for i in range(10)], preprocessing="mnist-digit")
        loaded = load_model(path, custom_layers=[Swish])
        print(f"{path.stat().st_size:,} bytes, classes {', '.join(loaded.class_names[:3])}, ...")
    same = (loaded.predict(x_test) == model.predict(x_test)).all()
    print(f"the same predictions, bit for bit: {same}")


if __name__ == "__main__":
    main()
