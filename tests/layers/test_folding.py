"""Normalization computed by the layer before it, in evaluation mode."""

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import BatchNorm, Conv2D, Dense, Layer, Residual, Sequential
from minicnn.layers import _folding

FIRST = {
    "conv": lambda: Conv2D(6, 3, padding="same"),
    "no bias": lambda: Conv2D(6, 3, 2, use_bias=False),
    "groups": lambda: Conv2D(6, 3, groups=3, padding="same"),
    "dense": lambda: Dense(6),
    "dense without bias": lambda: Dense(6, use_bias=False),
}


def pair_of(first, normalization, dtype, seed=0):
    """Return the two layers with drawn weights, in evaluation mode."""
    model = Sequential([first, normalization]).build((5, 6, 3), rng=seed, dtype=dtype)
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.value[...] = rng.uniform(0.5, 2, parameter.shape)
    normalization.running_mean.value[...] = rng.normal(size=6)
    return model


@given(
    first=st.sampled_from(sorted(FIRST)),
    scale=st.booleans(),
    center=st.booleans(),
    images=st.sampled_from([1, 3, 40]),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 99),
)
def test_a_folded_normalization_is_the_one_of_the_two_layers(first, scale, center, images, dtype, seed):
    model = pair_of(FIRST[first](), BatchNorm(scale=scale, center=center), dtype, seed)
    x = np.random.default_rng(seed).normal(size=(images, 5, 6, 3)).astype(dtype)
    weights = [parameter.value.copy() for parameter in model.parameters()]
    folded = model[0]._scaled_forward(x, *model[1]._scale_and_shift())
    assert folded.dtype == dtype
    expected = model[1](model[0](x))
    largest = abs(expected).max()
    np.testing.assert_allclose(folded, expected, rtol=0, atol=largest * 20 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(model(x), folded if _folding.saves_time(model[0], x) else expected)
    for parameter, value in zip(model.parameters(), weights, strict=True):
        np.testing.assert_array_equal(parameter.value, value)


def test_a_window_of_zeros_gives_exactly_the_folded_bias():
    model = pair_of(Conv2D(6, 3), BatchNorm(), np.float32)
    conv, norm = model
    scale = norm.gamma.value / np.sqrt(norm.running_var.value.astype(np.float64) + norm.eps)
    bias = scale * conv.bias.value - scale * norm.running_mean.value + norm.beta.value
    y = model(np.zeros((40, 5, 6, 3), np.float32))
    np.testing.assert_allclose(y[0, 0, 0], bias, rtol=1e-6)
    np.testing.assert_array_equal(y, np.broadcast_to(y[0, 0, 0], y.shape))


class Doubled(Conv2D):
    """A user's layer, which changes what is computed, but inherits how to scale it."""

    def forward(self, x):
        return 2 * super().forward(x)


class Recording(BatchNorm):
    """A user's layer, which wants to see its inputs."""

    def forward(self, x):
        self.seen = x.shape
        return super().forward(x)


@pytest.mark.parametrize(("first", "second"), [(Doubled, BatchNorm), (Conv2D, Recording)])
def test_layers_with_a_forward_of_their_own_are_called(first, second):
    model = pair_of(first(6, 3), second(), np.float64)
    x = np.random.default_rng(0).normal(size=(20, 5, 6, 3))
    assert _folding.saves_time(model[0], x)
    assert _folding.forward(*model, x) is None
    np.testing.assert_array_equal(model(x), model[1](model[0](x)))
    assert getattr(model[1], "seen", (20, 3, 4, 6)) == (20, 3, 4, 6)


@pytest.mark.parametrize(
    ("layer", "shape", "images", "expected"),
    [
        (Dense(512), (512,), 1, False),
        (Dense(8), (8,), 8, True),
        (Conv2D(32, 3), (3, 3, 32), 32, False),  # one output of each filter
        (Conv2D(4, 3, padding="same"), (6, 6, 4), 1, True),
        (Conv2D(4, 3, padding="same"), (6, 6, 4), 0, False),
    ],
)
def test_a_kernel_is_scaled_where_that_takes_less_time_than_the_outputs(layer, shape, images, expected):
    """Scaling that of Dense(512) takes ten times as long as the whole pass of one example."""
    layer.build(shape, rng=0)
    assert _folding.saves_time(layer, np.zeros((images, *shape), np.float32)) is expected


def test_few_outputs_of_a_large_kernel_are_normalized_apart():
    model = Sequential([Dense(64), BatchNorm()]).build((64,), rng=0)
    x = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float32)
    assert _folding.forward(*model, x[:63]) is None
    np.testing.assert_array_equal(model(x[:63]), model[1](model[0](x[:63])))
    np.testing.assert_array_equal(model(x), _folding.forward(*model, x))


def test_a_hook_on_a_layer_is_called():
    model, seen = pair_of(Conv2D(6, 3), BatchNorm(), np.float64), []
    forward = model[0].forward
    model[0].forward = lambda x: seen.append(x.shape) or forward(x)
    model(np.ones((20, 5, 6, 3)))
    assert seen == [(20, 5, 6, 3)]


@pytest.mark.parametrize("kind", [Conv2D, BatchNorm])
def test_a_forward_that_replaces_that_of_the_class_is_called(monkeypatch, kind):
    forward, seen = kind.forward, []

    @functools.wraps(forward)
    def counted(layer, x):
        seen.append(x.shape)
        return forward(layer, x)

    model = pair_of(Conv2D(6, 3), BatchNorm(), np.float64)
    model(np.ones((20, 5, 6, 3)))
    monkeypatch.setattr(kind, "forward", counted)
    model(np.ones((20, 5, 6, 3)))
    assert len(seen) == 1


def test_training_mode_uses_the_statistics_of_the_batch():
    model = pair_of(Conv2D(6, 3), BatchNorm(), np.float64).train()
    y = model(np.random.default_rng(0).normal(size=(8, 5, 6, 3)))
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), model[1].beta.value, atol=1e-12)


def test_a_pass_in_evaluation_mode_leaves_nothing_to_go_back_to():
    model = pair_of(Conv2D(6, 3), BatchNorm(), np.float64)
    x = np.ones((20, 5, 6, 3))
    y = model.train()(x)
    model.eval()(x)
    for layer in (model, *model):
        with pytest.raises(RuntimeError, match="needs a forward pass in training mode"):
            layer.backward(np.ones_like(y))


def test_errors_name_the_layer():
    model = pair_of(Conv2D(6, 3), BatchNorm(), np.float64)
    with pytest.raises(ValueError, match=r"layer 0 \(Conv2D\), given \(20, 5, 6, 4\)"):
        model.forward(np.ones((20, 5, 6, 4)))


def test_residual_branches_fold_too():
    class Plain(Layer):
        def forward(self, x):
            return x.copy()

    branch = [Conv2D(3, 3, padding="same"), BatchNorm()]
    model = Sequential([Plain(), Residual(branch)]).build((5, 6, 3), rng=0, dtype=np.float64)
    branch[1].running_var.value[...] = 3.0
    x = np.random.default_rng(0).normal(size=(2, 5, 6, 3))
    np.testing.assert_allclose(model(x), x + branch[1](branch[0](x)), rtol=1e-12)
