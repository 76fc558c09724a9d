"""JAX: one compiled function per training step, with Adam written out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax import numpy as jnp

WEIGHTED = ("conv", "depthwise", "dense")
Weights = list[dict[str, Any]]


class Peer:
    """A net with the given weights, and Adam."""

    def __init__(self, net: Mapping[str, Any], weights: Sequence[np.ndarray], threads: int) -> None:
        self.layers = net["layers"]
        given = iter(weights)
        self.weights = [_initial_weights(layer, given) for layer in self.layers]
        # For BatchNorm's moving averages, which no gradient moves.
        self.moving = [_initial_moving(layer) for layer in self.layers]
        # The step overwrites both moments, so each has memory of its own.
        self.adam = *(jax.tree.map(jnp.zeros_like, self.weights) for _ in range(2)), 0
        self.step = jax.jit(self._step, donate_argnums=(0, 1, 2))
        self.logits = jax.jit(lambda weights, moving, x: self._forward(weights, moving, x, training=False)[0])

    def _forward(self, weights: Weights, moving: Weights, x: Any, training: bool) -> tuple[Any, Weights]:
        moved = []
        for layer, own, averages in zip(self.layers, weights, moving, strict=True):
            x, averages = _APPLY[layer["kind"]](x, own, averages, layer["settings"], training)
            moved.append(averages)
        return x, moved

    def _step(self, weights: Weights, moving: Weights, adam: Any, x: Any, y: Any) -> tuple[Any, ...]:
        def loss(weights: Weights) -> tuple[Any, Weights]:
            logits, moved = self._forward(weights, moving, x, training=True)
            own = jnp.take_along_axis(logits, y[:, None], axis=1)[:, 0]
            return (jax.nn.logsumexp(logits, axis=1) - own).mean(), moved

        gradients, moved = jax.grad(loss, has_aux=True)(weights)
        first, second, step = adam
        step = step + 1
        first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, first, gradients)
        second = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, second, gradients)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) + 1e-7), weights, first, second)
        return weights, moved, (first, second, step)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Return floats in [0, 1]."""
        return np.divide(images, 255, dtype=np.float32)

    def epoch(self, x: np.ndarray, y: np.ndarray, batch_size: int, order: np.ndarray | None) -> None:
        """Train for one epoch, in this order."""
        order = np.random.default_rng(0).permutation(len(x)) if order is None else order
        labels = y.astype(np.int32)
        for batch in np.split(order, range(batch_size, len(x), batch_size)):
            self.weights, self.moving, self.adam = self.step(
                self.weights, self.moving, self.adam, x[batch], labels[batch]
            )
        jax.block_until_ready(self.weights)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the logits."""
        parts = np.split(x, range(256, len(x), 256))
        return np.concatenate([self.logits(self.weights, self.moving, part) for part in parts])

    def call_one(self, x: np.ndarray) -> Callable:
        """Return a function that computes the logits of a single image."""
        return lambda: np.asarray(self.logits(self.weights, self.moving, x))

    predict_one = call_one  # JAX has no `predict`

    def conv(
        self, x: np.ndarray, filters: int, kernel_size: int, strides: int, pad: int
    ) -> dict[str, Callable]:
        """Return a function that runs forward and backward as one compiled function."""
        shape = (kernel_size, kernel_size, x.shape[-1], filters)
        kernel = jnp.asarray(np.random.default_rng(0).normal(size=shape).astype(np.float32) / shape[2])
        bias = jnp.zeros(filters)

        def forward(x: Any, kernel: Any, bias: Any) -> Any:
            return _conv(x, kernel, strides, [(pad, pad), (pad, pad)]) + bias

        @jax.jit
        def step(x: Any, kernel: Any, bias: Any, dy: Any) -> Any:
            y, backward = jax.vjp(forward, x, kernel, bias)
            return y, backward(dy)

        images = jnp.asarray(x)
        dy = jnp.ones_like(forward(images, kernel, bias))
        return {"": lambda: jax.block_until_ready(step(images, kernel, bias, dy))}


def _initial_weights(layer: Mapping[str, Any], given: Any) -> dict[str, Any]:
    if layer["kind"] in WEIGHTED:
        return {"kernel": jnp.asarray(next(given)), "bias": jnp.asarray(next(given))}
    if layer["kind"] in ("batch_norm", "group_norm"):
        channels = layer["input_shape"][-1]
        return {"gamma": jnp.ones(channels), "beta": jnp.zeros(channels)}
    return {}


def _initial_moving(layer: Mapping[str, Any]) -> dict[str, Any]:
    if layer["kind"] != "batch_norm":
        return {}
    channels = layer["input_shape"][-1]
    return {"mean": jnp.zeros(channels), "variance": jnp.ones(channels)}


def _conv(x: Any, kernel: Any, strides: int, padding: Any, groups: int = 1) -> Any:
    numbers = ("NHWC", "HWIO", "NHWC")
    return lax.conv_general_dilated(
        x, kernel, (strides, strides), padding, dimension_numbers=numbers, feature_group_count=groups
    )


def _batch_norm(x: Any, weights: Any, moving: Any, training: bool) -> tuple[Any, Any]:
    mean, variance = moving["mean"], moving["variance"]
    if training:
        axes = tuple(range(x.ndim - 1))
        mean, variance = x.mean(axes), x.var(axes)
        moving = {
            "mean": 0.99 * moving["mean"] + 0.01 * mean,
            "variance": 0.99 * moving["variance"] + 0.01 * variance,
        }
    return (x - mean) * (weights["gamma"] * lax.rsqrt(variance + 1e-3)) + weights["beta"], moving


def _group_norm(x: Any, weights: Any, groups: int) -> Any:
    grouped = x.reshape(*x.shape[:-1], groups, -1)
    axes = (*range(1, x.ndim - 1), x.ndim)
    mean, variance = grouped.mean(axes, keepdims=True), grouped.var(axes, keepdims=True)
    return ((grouped - mean) * lax.rsqrt(variance + 1e-3)).reshape(x.shape) * weights["gamma"] + weights[
        "beta"
    ]


def _max_pool(x: Any) -> Any:
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


# The forward pass of each kind: (x, weights, moving averages, settings, training) -> (y, moving averages).
_APPLY: dict[str, Callable] = {
    "conv": lambda x, w, m, s, t: (_conv(x, w["kernel"], 1, s[2].upper()) + w["bias"], m),
    "depthwise": lambda x, w, m, s, t: (_conv(x, w["kernel"], 1, "SAME", s[0]) + w["bias"], m),
    "batch_norm": lambda x, w, m, s, t: _batch_norm(x, w, m, t),
    "group_norm": lambda x, w, m, s, t: (_group_norm(x, w, *s), m),
    "relu": lambda x, w, m, s, t: (jax.nn.relu(x), m),
    "own_relu": lambda x, w, m, s, t: (jnp.maximum(x, 0), m),
    "max_pool": lambda x, w, m, s, t: (_max_pool(x), m),
    "flatten": lambda x, w, m, s, t: (x.reshape(len(x), -1), m),
    "dense": lambda x, w, m, s, t: (x @ w["kernel"] + w["bias"], m),
}
