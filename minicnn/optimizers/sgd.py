"""Stochastic gradient descent: plain, with momentum, or with Nesterov momentum."""

import numpy as np

from minicnn.optimizers.base import Optimizer, Rate, State
from minicnn.validation import check_real


class SGD(Optimizer):
    """Stochastic gradient descent, optionally with momentum; the formulas are Keras's.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a function of the step.
    momentum : float
        Fraction of the previous update that is added to the next, in [0, 1).
    nesterov : bool
        Whether to use Nesterov momentum (Nesterov, 1983).
    weight_decay, clip_norm
        See `Optimizer`.
    decoupled : bool
        Form of the weight decay. True, as in Keras: weights are multiplied by 1 - rate * weight_decay. False,
        as in PyTorch and in AlexNet's training: weight_decay * weight is added to the gradient (after
        clipping), so momentum applies to the decay too and makes it, in the long run, 1 / (1 - momentum)
        times as strong. For weights w and velocity v, section 5 of Krizhevsky et al. 2012 has

            v = momentum * v - weight_decay * rate * w - rate * gradient,    w = w + v

    Examples
    --------
    >>> from minicnn.parameter import Parameter
    >>> weight = Parameter([1.0])
    >>> weight.add_grad(np.array([2.0]))
    >>> SGD(lr=0.1).step([weight])
    >>> weight.value
    array([0.8])
    """

    def __init__(
        self,
        lr: Rate = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
        decoupled: bool = True,
    ) -> None:
        super().__init__(lr, weight_decay, clip_norm)
        self.momentum = check_real(momentum, "momentum", high=1)
        self.nesterov, self.decoupled = bool(nesterov), bool(decoupled)
        if self.nesterov and not self.momentum:
            raise ValueError(f"`nesterov` needs a `momentum` above 0, got {self.momentum:g}")
        self.slots = self.decaying_slots = ("velocity",) if self.momentum else ()

    def update(self, grad: np.ndarray, scratch: np.ndarray, rate: float, state: State) -> np.ndarray:
        """Return rate * grad, plus momentum."""
        grad *= rate
        if not state:
            return grad
        (velocity,) = state
        velocity *= self.momentum
        velocity += grad
        if not self.nesterov:
            return velocity
        np.multiply(velocity, self.momentum, out=scratch)
        scratch += grad
        return scratch
