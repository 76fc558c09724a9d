"""References for `check_optimizer`: the usual update rules, written out in float64, and usual mistakes."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

Reference = Callable[[np.ndarray, Sequence[np.ndarray]], np.ndarray]


@dataclass(frozen=True)
class AdamSteps:
    """Adam and AdamW as a reference: `steps(value, grads)` returns the value after all steps.

    Parameters
    ----------
    lr, beta1, beta2, eps : float
    weight_decay : float
    decoupled : bool
        Whether the weight is multiplied by `1 - lr * weight_decay` before each update (AdamW), or
        `weight_decay * weight` is added to the gradient.
    corrected : bool
        Whether the bias of the running means is corrected.
    eps_hat : bool
        Whether eps is added before the correction, as in Keras and TensorFlow, or after it, as in PyTorch.
    """

    lr: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-7
    weight_decay: float = 0.0
    decoupled: bool = True
    corrected: bool = True
    eps_hat: bool = True

    def __call__(self, value: np.ndarray, grads: Sequence[np.ndarray]) -> np.ndarray:
        """Return the value after a step for each gradient."""
        value, m, v = value.copy(), np.zeros(value.shape), np.zeros(value.shape)
        for t, given in enumerate(grads, start=1):
            grad = given if self.decoupled else given + self.weight_decay * value
            m, v = self.beta1 * m + (1 - self.beta1) * grad, self.beta2 * v + (1 - self.beta2) * grad**2
            c1, c2 = (1 - self.beta1**t, 1 - self.beta2**t) if self.corrected else (1.0, 1.0)
            eps = self.eps / math.sqrt(c2) if self.eps_hat else self.eps
            if self.decoupled:
                value = value * (1 - self.lr * self.weight_decay)
            value = value - self.lr * (m / c1) / (np.sqrt(v / c2) + eps)
        return value

    def mistakes(self) -> dict[str, Reference]:
        """Return usual mistakes by their names."""
        return {
            "no bias correction": replace(self, corrected=False),
            "bias correction": replace(self, corrected=True),
            "weight decay through the gradient, not decoupled": replace(self, decoupled=False),
            "decoupled weight decay, not through the gradient": replace(self, decoupled=True),
            "no weight decay": replace(self, weight_decay=0.0),
            "weight decay without the learning rate": replace(
                self, weight_decay=self.weight_decay / self.lr if self.lr else 0.0
            ),
            "eps after the bias correction, as in PyTorch": replace(self, eps_hat=False),
            "eps before the bias correction, as in Keras": replace(self, eps_hat=True),
            "beta1 and beta2 exchanged": replace(self, beta1=self.beta2, beta2=self.beta1),
        }


@dataclass(frozen=True)
class SGDSteps:
    """SGD with momentum as a reference: `velocity = momentum * velocity - lr * grad`, added to the weight.

    Parameters
    ----------
    lr, momentum : float
    nesterov : bool
    weight_decay : float
    decoupled : bool
        As for `AdamSteps`.
    """

    lr: float = 0.01
    momentum: float = 0.0
    nesterov: bool = False
    weight_decay: float = 0.0
    decoupled: bool = True

    def __call__(self, value: np.ndarray, grads: Sequence[np.ndarray]) -> np.ndarray:
        """Return the value after a step for each gradient."""
        value, velocity = value.copy(), np.zeros(value.shape)
        for given in grads:
            grad = given if self.decoupled else given + self.weight_decay * value
            velocity = self.momentum * velocity - self.lr * grad
            if self.decoupled:
                value = value * (1 - self.lr * self.weight_decay)
            value = value + (self.momentum * velocity - self.lr * grad if self.nesterov else velocity)
        return value

    def mistakes(self) -> dict[str, Reference]:
        """Return usual mistakes by their names."""
        return {
            "weight decay through the gradient, not decoupled": replace(self, decoupled=False),
            "decoupled weight decay, not through the gradient": replace(self, decoupled=True),
            "no weight decay": replace(self, weight_decay=0.0),
            "no momentum": replace(self, momentum=0.0),
            "momentum of the running mean, (1 - momentum) * grad": replace(
                self, lr=self.lr * (1 - self.momentum)
            ),
            "not Nesterov's momentum": replace(self, nesterov=False),
            "Nesterov's momentum": replace(self, nesterov=True),
        }
