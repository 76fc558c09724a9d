"""Adam and AdamW: the same update, with different defaults of the weight decay."""

from __future__ import annotations

import math

import numpy as np

from minicnn.optimizers.base import Optimizer, Rate, State
from minicnn.validation import check_real


def _adam(self: Adam | AdamW, grad: np.ndarray, scratch: np.ndarray, rate: float, state: State) -> np.ndarray:
    """Return rate * sqrt(1 - beta2^t) / (1 - beta1^t) * mean / (sqrt(mean square) + eps) for step t.

    The state holds sums, m = mean / (1 - beta1) and v = mean square / (1 - beta2): multiplying by these
    factors once, as numbers, saves two passes over all weights.
    """
    m, v = state
    m *= self.beta1
    m += grad
    v *= self.beta2
    grad *= grad
    v += grad
    t = self.steps + 1
    root = math.sqrt(1.0 - self.beta2)
    unbias = math.sqrt(1.0 - self.beta2**t) / (1.0 - self.beta1**t)
    delta = np.sqrt(v, out=grad)
    delta += self.eps / root
    np.divide(m, delta, out=delta)
    delta *= rate * unbias * (1.0 - self.beta1) / root
    return delta


class Adam(Optimizer):
    """Adaptive moment estimation (Kingma and Ba, 2015), with eps as in Keras.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a function of the step.
    beta1, beta2 : float
        Decay rates of the running means of the gradient and of its square, in [0, 1).
    eps : float
        Added to the root of the mean square before the bias correction: the paper's "epsilon hat".
        TensorFlow's v1 Adam has the same formula with a default of 1e-8.
    weight_decay, clip_norm
        See `Optimizer`.

    Examples
    --------
    >>> Adam(lr=0.01)
    Adam(lr=0.01, beta1=0.9, beta2=0.999, eps=1e-07, weight_decay=0.0, clip_norm=None)
    """

    slots = ("m", "v")
    decaying_slots = ("m",)
    update = _adam

    def __init__(
        self,
        lr: Rate = 1e-3,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-7,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, weight_decay, clip_norm)
        self.beta1, self.beta2 = check_real(beta1, "beta1", high=1), check_real(beta2, "beta2", high=1)
        self.eps = check_real(eps, "eps", above_low=True)


class AdamW(Optimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019), on by default as in Keras.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a function of the step.
    weight_decay : float
        Before each update all weights, including biases, are multiplied by 1 - rate * weight_decay.
    beta1, beta2, eps
        See `Adam`.
    clip_norm
        See `Optimizer`.
    """

    slots = ("m", "v")
    decaying_slots = ("m",)
    update = _adam

    def __init__(
        self,
        lr: Rate = 1e-3,
        weight_decay: float = 0.004,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-7,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, weight_decay, clip_norm)
        self.beta1, self.beta2 = check_real(beta1, "beta1", high=1), check_real(beta2, "beta2", high=1)
        self.eps = check_real(eps, "eps", above_low=True)
