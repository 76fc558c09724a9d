"""Train on adversarial examples, the trunk and the head each with an optimizer of its own.

python examples/own_loop.py [--epochs 1] [--limit 6000]
"""

import argparse

import numpy as np

from minicnn import SGD, Adam, Trainer
from minicnn.datasets import load_mnist
from minicnn.losses import softmax_cross_entropy
from minicnn.models import lenet5
from minicnn.training import Batch


class Adversarial(Trainer):
    """Moves each pixel a little to where the loss rises, and trains on that (Goodfellow et al. 2015)."""

    def train_step(self, batch):
        """Make one step of `fit`, on the attacked images and with both optimizers."""
        x = batch.x.astype(np.float32) / 255
        attacked = self.model.replica().train()  # shares the weights, but has gradients of its own
        attacked.needs_dx = True  # a fit itself does without dL/dx of its input
        _, dlogits = softmax_cross_entropy(attacked(x), batch.y)
        x = np.clip(x + 0.1 * np.sign(attacked.backward(dlogits)), 0, 1).astype(np.float32)
        results = self.compute(Batch.of(x, batch.y, batch.sample_weight, batch.size))  # on all cores
        names = self.named_parameters()
        trunk = [parameter for name, parameter in names if name.startswith("layers.0.")]
        head = [parameter for name, parameter in names if not name.startswith("layers.0.")]
        SLOW.step(trunk)
        self.optimizer.step(head)
        return results


SLOW = SGD(lr=0.01)  # without momentum it has no state, so that checkpoints miss nothing


def main(argv=None):
    """Train, and compare the accuracies."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--limit", type=int, default=6000, help="images to train on")
    args = parser.parse_args(argv)
    (x, y), (x_test, y_test) = load_mnist()
    trainer = Adversarial(lenet5().build((28, 28, 1), rng=0), Adam(2e-3))
    history = trainer.fit(x[: args.limit], y[: args.limit], args.epochs, 64, verbose=0)
    print(f"accuracy on attacked images: {history.history['accuracy'][-1]:.3f}")
    print(f"test accuracy: {trainer.evaluate(x_test, y_test)['accuracy']:.3f}")


if __name__ == "__main__":
    main()
