"""Differentiable functions of JAX: real ones pass, planted bugs in custom rules are found."""

import numpy as np
import pytest
from testing.any_layer import run_example

from minicnn.testing import LayerCheckError, check_layer, from_jax

jax = pytest.importorskip("jax", reason="JAX is not installed: pip install 'minicnn-numpy[peers]'")
jnp = jax.numpy


def weights():
    rng = np.random.default_rng(0)
    return {"w": rng.standard_normal((4, 4)), "b": rng.standard_normal(4)}


def affine(x, w, b):
    return x @ w + b


def convolve(x, kernel):
    return jax.lax.conv_general_dilated(x, kernel, (2, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def normalize(x):
    return (x - x.mean(-1, keepdims=True)) / x.std(-1, keepdims=True)


FUNCTIONS = {
    "softplus": (jax.nn.softplus, None, (7,)),
    "gelu": (jax.nn.gelu, None, (7,)),
    "softmax": (jax.nn.softmax, None, (6,)),
    "affine": (affine, weights(), (4,)),
    "convolution": (convolve, lambda shape, rng: {"kernel": rng.standard_normal((3, 2, 2, 3))}, (5, 4, 2)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_jax_pass(name):
    function, params, shape = FUNCTIONS[name]
    check_layer(from_jax(function, params), shape, only="gradients")


@pytest.mark.campaign
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_of_jax_pass_all_checks(name):
    """A minute, since JAX compiles each operation for each of the batch sizes."""
    function, params, shape = FUNCTIONS[name]
    check_layer(from_jax(function, params), shape)


def reverse_rule(forward, backward):
    """Return a function with `custom_vjp`: `backward(dy, *inputs)` returns all gradients."""
    function = jax.custom_vjp(forward)
    function.defvjp(lambda *inputs: (forward(*inputs), inputs), lambda inputs, dy: backward(dy, *inputs))
    return function


def forward_rule(forward, derivative):
    """Return a function with `custom_jvp`: `derivative(x)` is elementwise."""
    function = jax.custom_jvp(forward)

    @function.defjvp
    def jvp(primals, tangents):
        return forward(*primals), derivative(*primals) * tangents[0]

    return function


RIGHT = {
    "custom_vjp": (
        reverse_rule(affine, lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy.sum(0))),
        weights(),
    ),
    "custom_jvp": (forward_rule(jnp.square, lambda x: 2 * x), None),
}
WRONG = {
    "a mean over the batch": (
        reverse_rule(affine, lambda dy, x, w, b: (dy @ w.T, x.T @ dy, dy.mean(0))),
        weights(),
    ),
    "a matrix not transposed": (
        reverse_rule(affine, lambda dy, x, w, b: (dy @ w, x.T @ dy, dy.sum(0))),
        weights(),
    ),
    "no gradient of the bias": (
        reverse_rule(affine, lambda dy, x, w, b: (dy @ w.T, x.T @ dy, None)),
        weights(),
    ),
    "softmax without its sum": (reverse_rule(jax.nn.softmax, lambda dy, x: (dy * jax.nn.softmax(x),)), None),
    "statistics as constants": (
        reverse_rule(normalize, lambda dy, x: (dy / x.std(-1, keepdims=True),)),
        None,
    ),
    "no mask": (reverse_rule(jax.nn.relu, lambda dy, x: (dy,)), None),
    "a missing factor": (forward_rule(jnp.square, lambda x: x), None),
    "the derivative of another function": (forward_rule(jnp.tanh, lambda x: 1 - jnp.tanh(x)), None),
    "a sign": (forward_rule(jnp.abs, jnp.ones_like), None),
    "an error of a thousandth": (forward_rule(jnp.exp, lambda x: 1.001 * jnp.exp(x)), None),
}


@pytest.mark.parametrize("name", RIGHT)
def test_right_rules_pass(name):
    function, params = RIGHT[name]
    check_layer(from_jax(function, params), (4,), only="gradients")


@pytest.mark.parametrize("name", WRONG)
def test_planted_bugs_are_found(name):
    function, params = WRONG[name]
    with pytest.raises(LayerCheckError):
        check_layer(from_jax(function, params), (4,), only="gradients")


def test_what_is_no_function_raises_a_clear_error():
    with pytest.raises(TypeError, match="`function` must be a function of JAX arrays, got 3"):
        from_jax(3)


def test_the_chapter_s_example_runs():
    run_example("jax")
