"""Right attention, gates and products."""

import numpy as np

from minicnn.layers.base import Layer
from minicnn.ops.activations import sigmoid, softmax
from minicnn.parameter import Parameter
from minicnn.testing.styles.style import right


@right((5, 4))
@right((3, 6))
class SelfAttention(Layer):
    """Attention of the vectors of a sequence to each other, with one head."""

    def init_params(self, input_shape, rng):
        n = input_shape[-1]
        self.wq, self.wk, self.wv = (Parameter(rng.normal(0, n**-0.5, (n, n))) for _ in range(3))

    def forward(self, x):
        q, k, v = (x @ w.value for w in (self.wq, self.wk, self.wv))
        a = softmax(q @ k.transpose(0, 2, 1) * x.shape[-1] ** -0.5)
        self.cache = {"x": x, "q": q, "k": k, "v": v, "a": a}
        return a @ v

    def backward(self, dy):
        x, q, k, v, a = self.cache.values()
        da, dv = dy @ v.transpose(0, 2, 1), a.transpose(0, 2, 1) @ dy
        ds = a * (da - (da * a).sum(axis=-1, keepdims=True)) * x.shape[-1] ** -0.5
        dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
        dx = np.zeros_like(x)
        for w, d in ((self.wq, dq), (self.wk, dk), (self.wv, dv)):
            w.add_grad(np.tensordot(x, d, ((0, 1), (0, 1))))
            dx += d @ w.value.T
        return dx


@right((5, 4))
class LinearAttention(Layer):
    """Attention without a softmax: x (x' x), by einsum."""

    def forward(self, x):
        self.cache = x
        return np.einsum("nti,nsi,nsj->ntj", x, x, x, optimize=True)

    def backward(self, dy):
        x = self.cache
        one = np.einsum("ntj,nsi,nsj->nti", dy, x, x, optimize=True)
        two = np.einsum("ntj,nti,nsj->nsi", dy, x, x, optimize=True)
        three = np.einsum("ntj,nti,nsi->nsj", dy, x, x, optimize=True)
        return one + two + three


@right((6,))
@right((2, 3, 4))
class GatedLinearUnit(Layer):
    """One half of the features times the sigmoid of the other."""

    def forward(self, x):
        a, b = np.split(x, 2, axis=-1)
        gate = sigmoid(b)
        self.cache = a, gate
        return a * gate

    def backward(self, dy):
        a, gate = self.cache
        return np.concatenate([dy * gate, dy * a * gate * (1 - gate)], axis=-1)


@right((3, 4, 2))
class SqueezeExcite(Layer):
    """Channel gates from the means of the channels, with one matrix."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(0, 0.5, (input_shape[-1],) * 2))

    def forward(self, x):
        means = x.mean(axis=(1, 2))
        gate = sigmoid(means @ self.w.value)
        self.cache = x, means, gate
        return np.einsum("nhwc,nc->nhwc", x, gate)

    def backward(self, dy):
        x, means, gate = self.cache
        dlogits = np.einsum("nhwc,nhwc->nc", dy, x) * gate * (1 - gate)
        self.w.add_grad(means.T @ dlogits)
        squeezed = dlogits @ self.w.value.T / (x.shape[1] * x.shape[2])
        return dy * gate[:, None, None] + squeezed[:, None, None]


@right((5,))
class Highway(Layer):
    """t h + (1 - t) x, with a gate t (Srivastava et al. 2015)."""

    def init_params(self, input_shape, rng):
        n = input_shape[0]
        self.weights = {
            "h": Parameter(rng.normal(0, n**-0.5, (n, n))),
            "t": Parameter(rng.normal(0, 0.5, (n, n))),
        }

    def forward(self, x):
        h, t = np.tanh(x @ self.weights["h"].value), sigmoid(x @ self.weights["t"].value)
        self.cache = x, h, t
        return t * h + (1 - t) * x

    def backward(self, dy):
        x, h, t = self.cache
        grads = {"h": dy * t * (1 - h * h), "t": dy * (h - x) * t * (1 - t)}
        dx = dy * (1 - t)
        for name, d in grads.items():
            self.weights[name].add_grad(x.T @ d)
            dx = dx + d @ self.weights[name].value.T
        return dx


@right((4,))
class QuadraticForm(Layer):
    """x' A x for several matrices."""

    def init_params(self, input_shape, rng):
        self.a = Parameter(rng.normal(0, 0.5, (3, *input_shape, *input_shape)))

    def forward(self, x):
        self.cache = x
        return np.einsum("ni,kij,nj->nk", x, self.a.value, x)

    def backward(self, dy):
        x, a = self.cache, self.a.value
        self.a.add_grad(np.einsum("nk,ni,nj->kij", dy, x, x))
        return np.einsum("nk,kij,nj->ni", dy, a + a.transpose(0, 2, 1), x)


@right((5,))
class Mixture(Layer):
    """Experts, weighted by a softmax."""

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
        dz = g * (dg - (g * dg).sum(axis=1, keepdims=True))
        self.gate.add_grad(x.T @ dz)
        return np.einsum("nk,nj,kij->ni", g, dy, self.experts.value) + dz @ self.gate.value.T


@right((5,))
class Cosine(Layer):
    """The cosines between x and learned vectors."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(rng.normal(size=(input_shape[0], 3)))

    def forward(self, x):
        nx = np.sqrt((x * x).sum(axis=1, keepdims=True) + 1e-6)
        nw = np.sqrt((self.w.value**2).sum(axis=0) + 1e-6)
        u, v = x / nx, self.w.value / nw
        self.cache = u, v, nx, nw
        return u @ v

    def backward(self, dy):
        u, v, nx, nw = self.cache
        du, dv = dy @ v.T, u.T @ dy
        self.w.add_grad((dv - v * (dv * v).sum(axis=0)) / nw)
        return (du - u * (du * u).sum(axis=1, keepdims=True)) / nx


@right((4,), 2)
@right((6,), 3)
class LowRank(Layer):
    """x U V."""

    def __init__(self, rank):
        self.rank = rank

    def init_params(self, input_shape, rng):
        self.factors = [
            Parameter(rng.normal(0, 0.5, s)) for s in ((input_shape[0], self.rank), (self.rank, 5))
        ]

    def forward(self, x):
        h = x @ self.factors[0].value
        self.cache = x, h
        return h @ self.factors[1].value

    def backward(self, dy):
        x, h = self.cache
        dh = dy @ self.factors[1].value.T
        self.factors[0].add_grad(x.T @ dh)
        self.factors[1].add_grad(h.T @ dy)
        return dh @ self.factors[0].value.T


@right((4, 3))
class SoftAttentionPooling(Layer):
    """The mean of the steps, weighted by a softmax of their products with a learned query."""

    def init_params(self, input_shape, rng):
        self.query = Parameter(rng.normal(size=input_shape[-1]))

    def forward(self, x):
        a = softmax(x @ self.query.value)
        self.cache = x, a
        return np.einsum("nt,nti->ni", a, x)

    def backward(self, dy):
        x, a = self.cache
        da = np.einsum("ni,nti->nt", dy, x)
        dz = a * (da - (a * da).sum(axis=1, keepdims=True))
        self.query.add_grad(np.einsum("nt,nti->i", dz, x))
        return a[..., None] * dy[:, None] + dz[..., None] * self.query.value


@right((3, 4))
class PositionalBias(Layer):
    """Adds fixed sines and a learned bias for each position."""

    def init_params(self, input_shape, rng):
        t, n = input_shape
        angles = np.arange(t)[:, None] / 100 ** (np.arange(n) / n)
        self.bias = Parameter(np.sin(angles))

    def forward(self, x):
        self.cache = None
        return x + self.bias.value

    def backward(self, dy):
        self.bias.add_grad(dy.sum(axis=0))
        return dy.copy()


@right((4,))
class IdentityStart(Layer):
    """A dense layer whose matrix starts as the identity."""

    def init_params(self, input_shape, rng):
        self.w = Parameter(np.eye(input_shape[0]))

    def forward(self, x):
        self.cache = x
        return x @ self.w.value

    def backward(self, dy):
        self.w.add_grad(self.cache.T @ dy)
        return dy @ self.w.value.T


@right((5, 5, 2))
class SpatialSoftmax(Layer):
    """The expected coordinates of each channel (Finn et al. 2016)."""

    def forward(self, x):
        n, h, w, c = x.shape
        z = x.reshape(n, h * w, c)
        e = np.exp(z - z.max(axis=1, keepdims=True))
        a = e / e.sum(axis=1, keepdims=True)
        grid = np.stack(np.meshgrid(np.linspace(-1, 1, h), np.linspace(-1, 1, w), indexing="ij"), -1)
        grid = grid.reshape(h * w, 2).astype(x.dtype)
        self.cache = a, grid, x.shape
        return np.einsum("npc,pk->nck", a, grid)

    def backward(self, dy):
        a, grid, shape = self.cache
        da = np.einsum("nck,pk->npc", dy, grid)
        return (a * (da - (a * da).sum(axis=1, keepdims=True))).reshape(shape)
