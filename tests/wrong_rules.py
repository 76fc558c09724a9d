"""Optimizers of a user: a right rule, and the mistakes that are made in it."""

import numpy as np

from minicnn.optimizers import Optimizer


class Momentum(Optimizer):
    """The right rule; each subclass makes a mistake."""

    slots = ("m",)

    def __init__(self, lr=0.1):
        super().__init__(lr)

    def update(self, grad, scratch, rate, state):
        state[0] *= 0.9
        state[0] += grad
        return np.multiply(state[0], rate, out=grad)


class Rebinds(Momentum):
    def update(self, grad, scratch, rate, state):
        state[0] = 0.9 * state[0] + grad
        return rate * state[0]


class Forgets(Momentum):
    def update(self, grad, scratch, rate, state):
        (m,) = state
        m = 0.9 * m + grad
        return rate * m


class Hides(Momentum):
    slots = ()
    m = 0.0

    def update(self, grad, scratch, rate, state):
        self.m = 0.9 * self.m + grad
        return rate * self.m


class Counts(Momentum):
    def update(self, grad, scratch, rate, state):
        self.calls = getattr(self, "calls", 0) + 1
        return super().update(grad, scratch, rate, state)


class ReturnsNothing(Momentum):
    def update(self, grad, scratch, rate, state):
        super().update(grad, scratch, rate, state)


class ReturnsOne(Momentum):
    def update(self, grad, scratch, rate, state):
        return super().update(grad, scratch, rate, state)[:1]
