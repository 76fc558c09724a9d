"""Right random layers that choose: poolings by chance, and slopes by chance."""

import numpy as np

from minicnn.testing.styles.chance import WithStream
from minicnn.testing.styles.style import right


def windows(x):
    """Return the four pixels of each 2x2 window on the last axis."""
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4).reshape(n, h // 2, w // 2, c, 4)


def from_windows(d):
    """Return the image of 2x2 windows."""
    n, h, w, c, _ = d.shape
    return d.reshape(n, h, w, c, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(n, 2 * h, 2 * w, c)


@right((6, 4, 2))
class StochasticPool(WithStream):
    """A value of each window with probabilities that are proportional to the values (Zeiler 2013)."""

    def forward(self, x):
        values = windows(np.maximum(x, 0))
        total = values.sum(axis=-1, keepdims=True)
        share = np.divide(values, total, out=np.zeros_like(values), where=total > 0)
        if not self.training:
            return (share * values).sum(axis=-1)
        below = share.cumsum(axis=-1) < self.rng.random((*share.shape[:-1], 1))
        chosen = np.minimum(below.sum(axis=-1), 3)[..., None]
        self.cache = chosen, x > 0, values.shape
        return np.take_along_axis(values, chosen, axis=-1)[..., 0]

    def backward(self, dy):
        chosen, positive, shape = self.cache
        d = np.zeros(shape, dy.dtype)
        np.put_along_axis(d, chosen, dy[..., None], axis=-1)
        return from_windows(d) * positive


@right((6, 4, 2))
class MixedPool(WithStream):
    """The maximum or the mean, by a coin for each example; half of both in evaluation (Yu 2014)."""

    def forward(self, x):
        values = windows(x)
        coin = np.full((len(x), 1, 1, 1), 0.5, x.dtype)
        if self.training:
            coin = self.rng.integers(0, 2, coin.shape).astype(x.dtype)
        self.cache = values.argmax(axis=-1), coin
        return coin * values.max(axis=-1) + (1 - coin) * values.mean(axis=-1)

    def backward(self, dy):
        chosen, coin = self.cache
        d = np.repeat((1 - coin) * dy / 4, 4).reshape(*dy.shape, 4)
        return from_windows(d + (np.arange(4) == chosen[..., None]) * (coin * dy)[..., None])


@right((6, 4, 2))
class RandomGridPool(WithStream):
    """Dense 2x2 maxima at random rows and columns; their mean in evaluation (Zhai et al. 2017)."""

    def forward(self, x):
        n, h, w, c = x.shape
        padded = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)), mode="edge")
        taps = np.stack([padded[:, i : i + h, j : j + w] for i in (0, 1) for j in (0, 1)])
        best = taps.max(axis=0)
        if not self.training:
            return best.reshape(n, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
        rows, columns = (2 * np.arange(m // 2) + self.rng.integers(0, 2, m // 2) for m in (h, w))
        here = np.ix_(range(n), rows, columns, range(c))
        self.cache = taps.argmax(axis=0)[here], here, x.shape
        return best[here]

    def backward(self, dy):
        chosen, (n, rows, columns, c), shape = self.cache
        dx = np.zeros(shape, dy.dtype)
        row, column = rows + chosen // 2, columns + chosen % 2
        np.add.at(dx, (n, np.minimum(row, shape[1] - 1), np.minimum(column, shape[2] - 1), c), dy)
        return dx


@right((6, 4))
class DividedByChance(WithStream):
    """The first form of the randomized leaky ReLU: below zero, x over a random number (Xu et al. 2015)."""

    def forward(self, x):
        divisor = self.rng.uniform(3, 8, x.shape) if self.training else np.full(x.shape, 5.5)
        slope = np.where(x < 0, 1 / divisor, 1).astype(x.dtype)
        self.cache = slope
        return x * slope
