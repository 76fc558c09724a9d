"""The same net three times, side by side: here, in Keras, and in TensorFlow without Keras.

    python examples/compare_frameworks.py          (needs TensorFlow: pip install 'minicnn-numpy[tensorflow]')

All start from the same weights and see the same batches, so their losses must be equal; in float64 they
are, up to the last digits. `minicnn compare` measures more: layers, accuracy, time and memory.
"""

import argparse
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from minicnn import Adam, Conv2D, Dense, Flatten, Pool2D, ReLU, Sequential
from minicnn.datasets import load_mnist
from minicnn.interop.keras import copy_weights
from minicnn.losses import softmax_cross_entropy

Step = Callable[[np.ndarray, np.ndarray], float]  # trains on a batch of images and labels, returns the loss


def minicnn_net() -> Sequential:
    """Return the net in minicnn."""
    layers = [Conv2D(8, 5, strides=2, padding="same"), ReLU(), Pool2D(2), Flatten(), Dense(10)]
    return Sequential(layers).build((28, 28, 1), rng=0, dtype=np.float64)


def minicnn_step(model: Sequential) -> Step:
    """Return a step written by hand: forward, loss, backward, update."""
    model.train()
    optimizer = Adam(lr=1e-3)

    def step(x: np.ndarray, y: np.ndarray) -> float:
        loss, dlogits = softmax_cross_entropy(model(x), y)
        model.zero_grad()
        model.backward(dlogits)
        optimizer.step(model.parameters())
        return loss

    return step


def keras_step(start: Sequential) -> Step:
    """Return a step of the same net in Keras, which has its own training loop."""
    keras.config.set_floatx("float64")
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(8, 5, strides=2, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    copy_weights(start, model)
    # As NumPy's numbers, since Keras rounds Python's to float32.
    adam = keras.optimizers.Adam(np.float64(1e-3), beta_1=np.float64(0.9), beta_2=np.float64(0.999))
    model.compile(adam, keras.losses.SparseCategoricalCrossentropy(from_logits=True))

    def step(x: np.ndarray, y: np.ndarray) -> float:
        model.reset_metrics()  # or it would be the mean loss of all steps
        return float(model.train_on_batch(x, y, return_dict=True)["loss"])

    return step


def tensorflow_step(start: Sequential) -> Step:
    """Return a step in operations on variables: the tape finds the gradients, Adam is written out."""
    weights = [tf.Variable(weight) for weight in start.get_weights()]
    means, squares = ([tf.Variable(tf.zeros_like(w)) for w in weights] for _ in range(2))
    steps = tf.Variable(0.0, dtype=tf.float64)

    def logits(x: tf.Tensor) -> tf.Tensor:
        kernel, bias, dense_kernel, dense_bias = weights
        y = tf.nn.relu(tf.nn.conv2d(x, kernel, strides=2, padding="SAME") + bias)
        y = tf.nn.max_pool2d(y, 2, 2, "VALID")
        return tf.reshape(y, [-1, dense_kernel.shape[0]]) @ dense_kernel + dense_bias

    @tf.function
    def step(x: tf.Tensor, y: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, logits(x)))
        steps.assign_add(1)
        rate = 1e-3 * tf.sqrt(1 - 0.999**steps) / (1 - 0.9**steps)
        for w, m, v, g in zip(weights, means, squares, tape.gradient(loss, weights), strict=True):
            m.assign_add(0.1 * (g - m))
            v.assign_add(0.001 * (g * g - v))
            w.assign_sub(rate * m / (tf.sqrt(v) + 1e-7))
        return loss

    return lambda x, y: float(step(tf.constant(x), tf.constant(y, tf.int32)))


def main(argv: list[str] | None = None) -> None:
    """Train all three, and print their losses."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=64)
    args = parser.parse_args(argv)

    (images, labels), _ = load_mnist()
    start = minicnn_net()
    steps = {
        "Keras": keras_step(start),
        "TensorFlow": tensorflow_step(start),
        "minicnn": minicnn_step(start),  # last, since it changes the weights that all start from
    }
    print("step" + "".join(f"{name:>22}" for name in steps))
    order = np.random.default_rng(0).permutation(len(images))
    for number in range(1, args.steps + 1):
        batch = np.take(order, range(number * args.batch_size, (number + 1) * args.batch_size), mode="wrap")
        losses = [step(images[batch] / 255, labels[batch]) for step in steps.values()]
        if number % 10 == 0 or number == args.steps:
            print(f"{number:4}" + "".join(f"{loss:22.16f}" for loss in losses))


if __name__ == "__main__":
    main()
