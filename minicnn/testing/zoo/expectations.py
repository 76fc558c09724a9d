"""Bugs of random layers whose eval mode is not the mean of training mode, and of seeds for children."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.layers.dense import Dense
from minicnn.testing.styles.choices import RandomGridPool, StochasticPool, windows
from minicnn.testing.zoo.normalizations import WithStream
from minicnn.testing.zoo.specimen import broken


@broken("modes", (6, 4, 2), cause="weigh the values by the probabilities")
class StochasticPoolPlainMean(StochasticPool):
    """Values are chosen by their size, but eval mode takes their plain mean."""

    def forward(self, x):
        if not self.training:
            return windows(np.maximum(x, 0)).mean(axis=-1)
        return super().forward(x)


@broken("modes", (3, 4, 2), cause="scale what is kept")
class ResidualUnscaled(Layer):
    """The branch of a residual block, which ends with a ReLU, is dropped in training, but never scaled."""

    def init_params(self, input_shape, rng):
        self.branch = Dense(input_shape[-1]).build(input_shape, rng)
        self.rng = rng.spawn(1)[0]

    def forward(self, x):
        branch = np.maximum(self.branch(x), 0)
        keep = np.ones((len(x), *[1] * (x.ndim - 1)), x.dtype)
        if self.training:
            keep = (self.rng.random(keep.shape) < 0.7).astype(x.dtype)
        self.cache = keep * (branch > 0)
        return x + keep * branch

    def backward(self, dy):
        return dy + self.branch.backward(dy * self.cache)


@broken("modes", (4, 4, 2), cause="scale|mean")
class LowestSlopeInEval(WithStream):
    """Slopes below zero are random in training, and the lowest one in evaluation."""

    def forward(self, x):
        below = self.rng.uniform(1 / 8, 1 / 3, x.shape) if self.training else np.full(x.shape, 1 / 8)
        slope = np.where(x < 0, below, 1).astype(x.dtype)
        self.cache = slope
        return x * slope

    def backward(self, dy):
        return dy * self.cache


@broken("initialization", (5,), cause="built from a fixed seed")
class ChildrenWithASeed(Layer):
    """The layers within are built from a fixed seed, so that all such blocks start alike."""

    def init_params(self, input_shape, rng):
        self.parts = {"hidden": Dense(4), "out": Dense(3)}
        for part in self.parts.values():
            part.build(input_shape, 0)
            input_shape = part.output_shape

    def forward(self, x):
        for part in self.parts.values():
            x = part(x)
        return x

    def backward(self, dy):
        for part in reversed(list(self.parts.values())):
            dy = part.backward(dy)
        return dy


@broken("modes", (4, 4, 3), cause="scale|mean")
class GainsBelowOne(WithStream):
    """Each channel is multiplied by a random gain, whose mean is 0.75."""

    def forward(self, x):
        if not self.training:
            return x.copy()
        gain = self.rng.uniform(0, 1.5, (len(x), *[1] * (x.ndim - 2), x.shape[-1])).astype(x.dtype)
        self.cache = gain
        return x * gain

    def backward(self, dy):
        return dy * self.cache


@broken("gradients", (6, 4, 2), cause="only some of the terms count")
class OneOfTwoRandomWindows(RandomGridPool):
    """Two random windows may share their maximum, which then gets the gradient of one of them only."""

    def backward(self, dy):
        chosen, (n, rows, columns, c), shape = self.cache
        dx = np.zeros(shape, dy.dtype)
        row, column = rows + chosen // 2, columns + chosen % 2
        dx[n, np.minimum(row, shape[1] - 1), np.minimum(column, shape[2] - 1), c] = dy
        return dx
