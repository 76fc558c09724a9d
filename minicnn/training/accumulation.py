"""The sum of the gradients of a batch that is computed in several parts."""

from collections.abc import Sequence

import numpy as np

from minicnn.parameter import Parameter


class Accumulation:
    """Adds up what is computed for the parts of a batch, since each sets the gradients anew.

    Parameters
    ----------
    parameters : sequence of Parameter
        They hold the gradients of a part after it is computed.
    parts : int
        How many parts there will be; the gradients of a single one remain where they are.
    """

    def __init__(self, parameters: Sequence[Parameter], parts: int) -> None:
        self.parameters, self.parts = parameters, parts
        self.losses: list[float] = []
        self.outputs: list[np.ndarray] = []
        self.grads: list[np.ndarray] = []

    def add(self, loss: float, output: np.ndarray) -> None:
        """Add the loss, the predictions and the present gradients of a part."""
        self.losses.append(loss)
        self.outputs += [output] if len(output) else []
        if self.parts > 1:
            grads = [p.grad if p.trainable else np.zeros(()) for p in self.parameters]
            pairs = zip(self.grads, grads, strict=True)
            self.grads = [a + b for a, b in pairs] if self.grads else [*map(np.copy, grads)]

    def total(self) -> tuple[float, np.ndarray]:
        """Set the gradients to their sums; return the loss and the predictions of all parts."""
        for parameter, total in zip(self.parameters, self.grads, strict=False):
            if parameter.trainable:
                parameter.grad[...] = total
        outputs = self.outputs or [np.empty(0)]
        return sum(self.losses), outputs[0] if len(outputs) == 1 else np.concatenate(outputs)
