"""Train LeNet-5 on MNIST with the library: data, model, optimizer, trainer.

    python examples/train_lenet5.py --epochs 5

`minicnn train` does the same and writes a run folder.
"""

import argparse
import math

from minicnn import AdamW, Trainer
from minicnn.datasets import load_mnist
from minicnn.losses import softmax_cross_entropy
from minicnn.models import lenet5
from minicnn.schedules import cosine

BATCH_SIZE = 128


def main(argv: list[str] | None = None) -> None:
    """Train and print; `--epochs` and `--limit` make it shorter."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--limit", type=int, help="use only the first N training images")
    args = parser.parse_args(argv)

    (x_train, y_train), (x_test, y_test) = load_mnist()
    x_train, y_train = x_train[: args.limit], y_train[: args.limit]

    model = lenet5().build((28, 28, 1), rng=0)
    print(model.summary())

    steps = args.epochs * math.ceil(len(x_train) / BATCH_SIZE)
    warmup = steps // 20
    optimizer = AdamW(lr=cosine(3e-3, max(steps - warmup, 1), warmup), weight_decay=0.3)
    trainer = Trainer(model, optimizer, loss=softmax_cross_entropy, seed=0)
    history = trainer.fit(x_train, y_train, epochs=args.epochs, batch_size=BATCH_SIZE)
    print(f"loss in each epoch: {', '.join(f'{loss:.3f}' for loss in history.history['loss'])}")

    result = trainer.evaluate(x_test, y_test)
    print(f"test accuracy: {100 * result['accuracy']:.2f} %")
    predicted = model.predict(x_test[:10]).argmax(axis=1)
    print(f"first ten test images: {y_test[:10]}, predicted: {predicted}")


if __name__ == "__main__":
    main()
