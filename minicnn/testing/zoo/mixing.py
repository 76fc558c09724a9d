"""Broken attention, gates and products: forgotten paths, missing scales, swapped factors."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.activations import sigmoid, softmax
from minicnn.parameter import Parameter
from minicnn.testing.zoo.specimen import broken


class SelfAttention(Layer):
    """Base class: right attention of the vectors of a sequence to each other, with one head."""

    def init_params(self, input_shape, rng):
        """Draw the three matrices."""
        n = input_shape[-1]
        self.wq, self.wk, self.wv = (Parameter(rng.normal(0, n**-0.5, (n, n))) for _ in range(3))

    def scale(self, n):
        """Return the factor of the logits."""
        return n**-0.5

    def forward(self, x):
        """Return the attended values."""
        q, k, v = (x @ w.value for w in (self.wq, self.wk, self.wv))
        a = softmax(q @ k.transpose(0, 2, 1) * self.scale(x.shape[-1]))
        self.cache = x, q, k, v, a
        return a @ v

    def dlogits(self, da, a):
        """Return the gradient of the softmax's inputs."""
        return a * (da - (da * a).sum(axis=-1, keepdims=True))

    def backward(self, dy):
        """Return dx, through the queries, keys and values."""
        x, q, k, v, a = self.cache
        dv = self.dvalues(a, dy)
        ds = self.dlogits(dy @ v.transpose(0, 2, 1), a) * self.dscale(x.shape[-1])
        dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
        for w, d in ((self.wq, dq), (self.wk, dk), (self.wv, dv)):
            w.add_grad(np.einsum("nti,ntj->ij", x, d))
        return dq @ self.wq.value.T + dk @ self.wk.value.T + dv @ self.wv.value.T

    def dscale(self, n):
        """Return the factor in backward."""
        return self.scale(n)

    def dvalues(self, a, dy):
        """Return the gradient of the values."""
        return a.transpose(0, 2, 1) @ dy


@broken("gradients", (5, 4), cause="wrong factor")
class AttentionScaleForgotten(SelfAttention):
    """Backward forgets to divide the gradient of the logits by the root of the depth."""

    def dscale(self, n):
        return 1.0


@broken("gradients", (5, 4), cause="missing term")
class AttentionSoftmaxDiagonal(SelfAttention):
    """The gradient of the softmax in attention uses the diagonal of its Jacobian only."""

    def dlogits(self, da, a):
        return da * a * (1 - a)


@broken("gradients", (5, 4), cause="missing term|transposed")
class AttentionNotTransposed(SelfAttention):
    """The gradient of the values uses the attention matrix without transposing it."""

    def dvalues(self, a, dy):
        return a @ dy


@broken("gradients", (5, 4), cause="missing term")
class AttentionWithoutKeys(SelfAttention):
    """dx lacks the path through the keys."""

    def backward(self, dy):
        x, q, _, v, a = self.cache
        dx = super().backward(dy)
        ds = self.dlogits(dy @ v.transpose(0, 2, 1), a) * self.scale(x.shape[-1])
        return dx - ds.transpose(0, 2, 1) @ q @ self.wk.value.T


@broken("gradients", (6,), cause="wrong places")
class HalvesSwapped(Layer):
    """A gated linear unit whose backward returns the gradients of its halves in the wrong order."""

    def forward(self, x):
        a, b = np.split(x, 2, axis=-1)
        gate = sigmoid(b)
        self.cache = a, gate
        return a * gate

    def backward(self, dy):
        a, gate = self.cache
        return np.concatenate([dy * a * gate * (1 - gate), dy * gate], axis=-1)


class Excite(Layer):
    """Base class: right channel gates from the means of the channels."""

    def init_params(self, input_shape, rng):
        """Draw the matrix of the gate."""
        self.w = Parameter(rng.normal(0, 0.5, (input_shape[-1],) * 2))

    def forward(self, x):
        """Return x times its gates."""
        means = x.mean(axis=(1, 2))
        gate = sigmoid(means @ self.w.value)
        self.cache = x, means, gate
        return x * gate[:, None, None]

    def paths(self, dy):
        """Return the gradients of x by the direct path and by the means."""
        x, means, gate = self.cache
        dlogits = (dy * x).sum(axis=(1, 2)) * gate * (1 - gate)
        self.w.add_grad(means.T @ dlogits)
        return dy * gate[:, None, None], (dlogits @ self.w.value.T)[:, None, None]


@broken("gradients", (3, 4, 2), cause="wrong factor")
class GateOfTheSum(Excite):
    """Squeeze and excite; the gradient of the means is not divided by the number of pixels."""

    def backward(self, dy):
        direct, squeezed = self.paths(dy)
        return direct + squeezed


@broken("gradients", (3, 4, 2), cause="missing term")
class GateWithoutDirectPath(Excite):
    """Squeeze and excite; dx has the path through the gate only."""

    def backward(self, dy):
        direct, squeezed = self.paths(dy)
        return 0 * direct + squeezed / (direct.shape[1] * direct.shape[2])


@broken("gradients", (5,), cause="missing term")
class HighwayWithoutCarry(Layer):
    """A highway layer, t h + (1 - t) x, whose gate gets no gradient from the carried x."""

    def init_params(self, input_shape, rng):
        n = input_shape[0]
        self.wh, self.wt = (Parameter(rng.normal(0, n**-0.5, (n, n))) for _ in range(2))

    def forward(self, x):
        h, t = np.tanh(x @ self.wh.value), sigmoid(x @ self.wt.value)
        self.cache = x, h, t
        return t * h + (1 - t) * x

    def backward(self, dy):
        x, h, t = self.cache
        dh, dt = dy * t * (1 - h * h), dy * h * t * (1 - t)
        self.wh.add_grad(x.T @ dh)
        self.wt.add_grad(x.T @ dt)
        return dh @ self.wh.value.T + dt @ self.wt.value.T + dy * (1 - t)


@broken("gradients", (4,), cause="missing term|transposed")
class OneSideOfTheForm(Layer):
    """The quadratic forms x' A x; dx has A x but not A' x."""

    def init_params(self, input_shape, rng):
        self.a = Parameter(rng.normal(0, 0.5, (3, *input_shape, *input_shape)))

    def forward(self, x):
        self.cache = x
        return np.einsum("ni,kij,nj->nk", x, self.a.value, x)

    def backward(self, dy):
        x = self.cache
        self.a.add_grad(np.einsum("nk,ni,nj->kij", dy, x, x))
        return 2 * np.einsum("nk,kij,nj->ni", dy, self.a.value, x)


@broken("gradients", (4, 4), cause="transposed|missing")
class EinsumIndicesSwapped(Layer):
    """A matrix for each position; the gradient of the matrices has its last two indices swapped."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.5, (input_shape[0], input_shape[1], input_shape[1])))

    def forward(self, x):
        self.cache = x
        return np.einsum("npi,pij->npj", x, self.w.value)

    def backward(self, dy):
        self.w.add_grad(np.einsum("npi,npj->pji", self.cache, dy))
        return np.einsum("npj,pij->npi", dy, self.w.value)


@broken("gradients", (5,), cause="missing term")
class ExpertsGetTheGatesOnly(Layer):
    """A mixture of experts whose gate gets no gradient, so dx and the gate's matrix are wrong."""

    def init_params(self, input_shape, rng):
        self.experts = Parameter(rng.normal(0, 0.5, (3, input_shape[0], 2)))
        self.gate = Parameter(rng.normal(0, 0.5, (input_shape[0], 3)))

    def forward(self, x):
        g = softmax(x @ self.gate.value)
        outputs = np.einsum("ni,kij->nkj", x, self.experts.value)
        self.cache = x, g, outputs
        return np.einsum("nk,nkj->nj", g, outputs)

    def backward(self, dy):
        x, g, outputs = self.cache
        self.experts.add_grad(np.einsum("ni,nk,nj->kij", x, g, dy))
        dg = np.einsum("nj,nkj->nk", dy, outputs)
        self.gate.add_grad(x.T @ (g * (dg - (g * dg).sum(axis=1, keepdims=True))))
        return np.einsum("nk,nj,kij->ni", g, dy, self.experts.value)


@broken("gradients", (5,), cause="norm")
class CosineWithConstantNorm(Layer):
    """The cosine between x and learned vectors; dx takes the norm of x for a constant."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(size=(input_shape[0], 3)))

    def forward(self, x):
        n = np.sqrt((x * x).sum(axis=1, keepdims=True) + 1e-6)
        self.cache = x, n
        return x @ self.w.value / n

    def backward(self, dy):
        x, n = self.cache
        self.w.add_grad(x.T @ (dy / n))
        return dy / n @ self.w.value.T


@broken("gradients", (4,), cause="transposed|missing")
class LowRankNotTransposed(Layer):
    """The product x U V of square matrices; the gradient of U uses V in place of its transpose."""

    def init_params(self, input_shape, rng):
        n = input_shape[0]
        self.u, self.v = (Parameter(rng.normal(0, 0.5, (n, n))) for _ in range(2))

    def forward(self, x):
        h = x @ self.u.value
        self.cache = x, h
        return h @ self.v.value

    def backward(self, dy):
        x, h = self.cache
        self.v.add_grad(h.T @ dy)
        self.u.add_grad(x.T @ (dy @ self.v.value))
        return dy @ self.v.value.T @ self.u.value.T


@broken("gradients", (6, 3), cause="missing term")
class CumulativeSumForward(Layer):
    """The cumulative sum over time; backward sums forward in time again, not backward."""

    def forward(self, x):
        self.cache = None
        return np.cumsum(x, axis=1)

    def backward(self, dy):
        return np.cumsum(dy, axis=1)
