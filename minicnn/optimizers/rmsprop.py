"""RMSprop: gradients divided by the root of a running mean of their squares."""

import numpy as np

from minicnn.optimizers.base import Optimizer, Rate, State
from minicnn.validation import check_real


class RMSprop(Optimizer):
    """Gradients divided by the root of a running mean of their squares (Hinton, 2012), as in Keras.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a function of the step.
    rho : float
        Decay rate of the running means, in [0, 1).
    momentum : float
        Fraction of the previous update that is added to the next, in [0, 1).
    eps : float
        Added to the mean square, inside the root.
    centered : bool
        Whether to divide by the standard deviation of the gradients instead. A variance that rounding makes
        negative counts as 0; in Keras the weight becomes NaN.
    weight_decay, clip_norm
        See `Optimizer`.
    """

    def __init__(
        self,
        lr: Rate = 1e-3,
        rho: float = 0.9,
        momentum: float = 0.0,
        eps: float = 1e-7,
        centered: bool = False,
        weight_decay: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        super().__init__(lr, weight_decay, clip_norm)
        self.rho = check_real(rho, "rho", high=1)
        self.momentum = check_real(momentum, "momentum", high=1)
        self.eps = check_real(eps, "eps", above_low=True)
        self.centered = bool(centered)
        optional = ["mean"] * self.centered + ["velocity"] * bool(self.momentum)
        self.slots = self.decaying_slots = ("square", *optional)

    def update(self, grad: np.ndarray, scratch: np.ndarray, rate: float, state: State) -> np.ndarray:
        """Return rate * grad / sqrt(mean square + eps), plus momentum."""
        square, *others = state
        np.multiply(grad, grad, out=scratch)
        _update_mean(square, scratch, self.rho, scratch)
        variance = square
        if self.centered:
            mean = others[0]
            _update_mean(mean, grad, self.rho, scratch)
            np.multiply(mean, mean, out=scratch)
            variance = np.subtract(square, scratch, out=scratch)
            np.maximum(variance, 0.0, out=variance)
        root = np.add(variance, self.eps, out=scratch)
        np.sqrt(root, out=root)
        grad *= rate
        grad /= root
        if not self.momentum:
            return grad
        velocity = others[-1]
        velocity *= self.momentum
        velocity += grad
        return velocity


def _update_mean(mean: np.ndarray, values: np.ndarray, keep: float, scratch: np.ndarray) -> None:
    """Set `mean` to keep * mean + (1 - keep) * values; overwrites `scratch`, which may be `values`."""
    mean *= keep
    mean += np.multiply(values, 1.0 - keep, out=scratch)
