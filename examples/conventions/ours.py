"""What minicnn's optimizers do, to compare others with."""

from collections.abc import Sequence

import numpy as np

from minicnn import Optimizer, Parameter


def our_steps(
    optimizer: Optimizer, grads: Sequence[float], rates: Sequence[float] | None = None
) -> np.ndarray:
    """Return a weight, at first 1, after each step with these gradients and learning rates."""
    weight, values = Parameter(np.array([1.0])), []
    for number, grad in enumerate(grads):
        optimizer.lr = rates[number] if rates else optimizer.lr
        weight.zero_grad()
        weight.add_grad(np.array([grad]))
        optimizer.step([weight])
        values.append(weight.value[0])
    return np.array(values)
