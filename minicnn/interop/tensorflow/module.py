"""LeNet-5 as a TensorFlow 2 module."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from minicnn.initializers import he_normal, zeros
from minicnn.interop.images import image_shape
from minicnn.interop.tensorflow.net import check_dtype, check_weights, logits, weight_shapes


class LeNet5(tf.Module):
    """LeNet-5 for TensorFlow 2: a module with a compiled training step.

    With the same seed, it starts from the same weights as `minicnn.models.lenet5`.

    Parameters
    ----------
    input_shape : (int, int, int)
        Shape of one image.
    num_classes : int
        Number of logits.
    seed : int, optional
        Seed of the kernels, he_normal; None draws other kernels each time.
    dtype : float32 or float64
        Dtype of weights and outputs.
    lr, beta1, beta2, eps : float
        Hyper-parameters of Adam. The default eps is that of Keras and minicnn; TensorFlow 1 has 1e-8.

    Raises
    ------
    ValueError
        If the images are not (h, w, c), or smaller than 12x12.
    TypeError
        If `dtype` is neither float32 nor float64.

    Examples
    --------
    >>> net = LeNet5(seed=0)
    >>> loss = net.train_step(np.zeros((2, 28, 28, 1), np.float32), np.array([3, 5]))
    >>> net(np.zeros((2, 28, 28, 1), np.float32)).shape
    TensorShape([2, 10])
    """

    def __init__(
        self,
        input_shape: Sequence[int] = (28, 28, 1),
        num_classes: int = 10,
        seed: int | None = None,
        dtype: Any = "float32",
        lr: float = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-7,
    ) -> None:
        super().__init__()
        check_dtype(dtype)
        self.input_shape = image_shape(input_shape)
        self.lr, self.beta1, self.beta2, self.eps = lr, beta1, beta2, eps
        rng = np.random.default_rng(seed)
        values = [
            (he_normal if len(shape) > 1 else zeros)(shape, rng)
            for shape in weight_shapes(self.input_shape, num_classes)
        ]
        self.weights = [tf.Variable(value, dtype=dtype) for value in values]
        # Running means of each weight's gradient and of its square, and the number of steps.
        self.m, self.v = ([tf.Variable(tf.zeros_like(w)) for w in self.weights] for _ in range(2))
        self.steps = tf.Variable(0, dtype=tf.int64)

    @tf.function(reduce_retracing=True, autograph=False)
    def __call__(self, x: Any) -> Any:
        """Return the logits, (N, num_classes), for images (N, h, w, c)."""
        return self._logits(x)

    @tf.function(reduce_retracing=True, autograph=False)
    def train_step(self, x: Any, labels: Any) -> Any:
        """Make one Adam step on images (N, h, w, c) and class indices (N,); return the loss before it."""
        with tf.GradientTape() as tape:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
                tf.cast(labels, tf.int32), self._logits(x)
            )
            loss = tf.reduce_mean(losses)
        self._adam(tape.gradient(loss, self.weights))
        return loss

    def _logits(self, x: Any) -> Any:
        if x.shape.rank != 4 or tuple(x.shape[1:]) != self.input_shape:
            raise ValueError(f"images must have shape {('N', *self.input_shape)}, got {x.shape}")
        return logits(tf.cast(x, self.weights[0].dtype), self.weights)

    def _adam(self, gradients: Sequence[Any]) -> None:
        dtype = self.weights[0].dtype
        self.steps.assign_add(1)
        t = tf.cast(self.steps, dtype)
        lr, beta1, beta2, eps = (tf.constant(x, dtype) for x in (self.lr, self.beta1, self.beta2, self.eps))
        rate = lr * tf.sqrt(1 - beta2**t) / (1 - beta1**t)
        for weight, m, v, gradient in zip(self.weights, self.m, self.v, gradients, strict=True):
            m.assign_add((1 - beta1) * (gradient - m))
            v.assign_add((1 - beta2) * (gradient * gradient - v))
            weight.assign_sub(rate * m / (tf.sqrt(v) + eps))

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of the weights in the form of `Layer.get_weights`."""
        return [weight.numpy().copy() for weight in self.weights]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Copy `weights`, as returned by `get_weights`, into the network; Adam's state is not changed."""
        check_weights(self.weights, weights)
        for variable, value in zip(self.weights, weights, strict=True):
            variable.assign(np.asarray(value, variable.dtype.as_numpy_dtype))
