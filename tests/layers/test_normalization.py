import math

import numpy as np
import pytest

from minicnn import BatchNorm, GroupNorm, LayerNorm, LocalResponseNorm
from minicnn.testing import check_layer


@pytest.mark.parametrize("shape", [(1,), (6,), (4, 5, 3), (1, 1, 2)])
@pytest.mark.parametrize(
    "layer",
    [
        BatchNorm(),
        BatchNorm(momentum=0.0, eps=1e-5),
        BatchNorm(scale=False),
        BatchNorm(scale=False, center=False),
    ],
    ids=repr,
)
def test_batch_norm_honours_the_contract(layer, shape):
    check_layer(layer, shape)


def test_batch_norm_by_hand():
    layer = BatchNorm(momentum=0.75, eps=3.0).build((1,), dtype=np.float64).train()
    layer.gamma.value, layer.beta.value = [2.0], [10.0]
    y = layer(np.array([[1.0], [3.0]]))  # mean 2, variance 1, and 1 + eps is 4
    np.testing.assert_array_equal(y, [[9.0], [11.0]])
    np.testing.assert_array_equal(layer.running_mean.value, [0.5])
    np.testing.assert_array_equal(layer.running_var.value, [1.0])
    dx = layer.backward(np.array([[4.0], [0.0]]))
    # normalised values are -1/2 and 1/2: dy - 2 - z * (-1), times gamma / 2
    np.testing.assert_array_equal(dx, [[1.5], [-1.5]])
    np.testing.assert_array_equal(layer.gamma.grad, [-2.0])
    np.testing.assert_array_equal(layer.beta.grad, [4.0])
    layer.eval()
    np.testing.assert_array_equal(layer(np.array([[2.5]])), [[12.0]])


def test_batch_norm_has_the_constants_of_keras_by_default():
    layer = BatchNorm().build((1,), dtype=np.float64).train()
    y = layer(np.array([[2.0], [4.0]]))  # mean 3, variance 1
    np.testing.assert_allclose(y, [[-1 / math.sqrt(1.001)], [1 / math.sqrt(1.001)]], rtol=1e-15)
    np.testing.assert_allclose(layer.running_mean.value, [0.03], rtol=1e-13)
    np.testing.assert_allclose(layer.running_var.value, [1.0], rtol=1e-15)


def test_running_statistics_are_weights_that_no_optimizer_changes():
    layer = BatchNorm().build((3,))
    assert [p.trainable for p in layer.parameters()] == [True, True, False, False]
    assert [name for name, _ in layer.named_parameters()] == ["gamma", "beta", "running_mean", "running_var"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"momentum": 1.0}, "`momentum` must be in"),
        ({"eps": 0.0}, "`eps` must be in"),
        ({"eps": -1}, "`eps`"),
    ],
)
def test_batch_norm_refuses_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        BatchNorm(**arguments)


@pytest.mark.parametrize("shape", [(3,), (2, 4), (2, 3, 1)])
def test_batch_norm_refuses_other_channels_than_it_was_built_for(shape):
    layer = BatchNorm().build((3,))
    for mode in (True, False):
        with pytest.raises(ValueError, match=r"BatchNorm needs x of shape \(N, \.\.\., 3\), got \("):
            layer.train(mode)(np.zeros(shape, np.float32))


def test_batch_norm_refuses_an_empty_batch_in_training():
    layer = BatchNorm().build((3,)).train()
    with pytest.raises(ValueError, match="at least one value per channel"):
        layer(np.zeros((0, 3), np.float32))


@pytest.mark.parametrize("shape", [(6,), (5, 6), (4, 5, 6), (1, 1, 6)])
@pytest.mark.parametrize(
    "layer",
    [
        GroupNorm(2),
        GroupNorm(1, eps=1e-5),
        GroupNorm(3, center=False),
        GroupNorm(2, scale=False),
        LayerNorm(),
        LayerNorm(eps=0.1, scale=False, center=False),
    ],
    ids=repr,
)
def test_group_and_layer_norm_honour_the_contract(layer, shape):
    check_layer(layer, shape)


def test_group_norm_by_hand():
    layer = GroupNorm(2, eps=3.0).build((2, 2), dtype=np.float64).train()
    layer.gamma.value, layer.beta.value = [2.0, 4.0], [10.0, 0.0]
    y = layer(np.array([[[1.0, 5.0], [3.0, 5.0]]]))  # means 2 and 5, variances 1 and 0, and 1 + eps is 4
    np.testing.assert_array_equal(y, [[[9.0, 0.0], [11.0, 0.0]]])
    dx = layer.backward(np.array([[[4.0, 1.0], [0.0, 2.0]]]))
    # as for BatchNorm above; in the second group z is 0, so dx is 4 / sqrt(3) (dy - mean)
    root = 2 / math.sqrt(3)
    np.testing.assert_allclose(dx, [[[1.5, -root], [-1.5, root]]], rtol=1e-15)
    np.testing.assert_array_equal(layer.gamma.grad, [-2.0, 0.0])
    np.testing.assert_array_equal(layer.beta.grad, [4.0, 3.0])


def test_layer_norm_by_hand():
    layer = LayerNorm(eps=3.0).build((2,), dtype=np.float64).train()
    layer.gamma.value, layer.beta.value = [2.0, 4.0], [10.0, 0.0]
    np.testing.assert_array_equal(layer(np.array([[1.0, 3.0], [5.0, 5.0]])), [[9.0, 2.0], [10.0, 0.0]])
    dx = layer.backward(np.array([[2.0, 0.0], [0.0, 0.0]]))
    # gamma dy is 4, 0, and z -1/2, 1/2: (4 - 2 + z) / 2 and (0 - 2 + z (-1) (-1)) / 2
    np.testing.assert_array_equal(dx, [[0.75, -0.75], [0.0, 0.0]])
    np.testing.assert_array_equal(layer.gamma.grad, [-1.0, 0.0])
    np.testing.assert_array_equal(layer.beta.grad, [2.0, 0.0])


def test_defaults_are_those_of_keras():
    group, layer = GroupNorm(), LayerNorm()
    assert (group.groups, group.eps, layer.eps) == (32, 1e-3, 1e-3)
    assert all(norm.scale and norm.center for norm in (group, layer, BatchNorm()))


@pytest.mark.parametrize("make", [BatchNorm, LayerNorm, lambda **options: GroupNorm(1, **options)])
def test_scale_and_center_decide_which_weights_there_are(make):
    names = [
        [name for name, p in make(scale=scale, center=center).build((3,)).named_parameters() if p.trainable]
        for scale in (True, False)
        for center in (True, False)
    ]
    assert names == [["gamma", "beta"], ["gamma"], ["beta"], []]


@pytest.mark.parametrize("kind", [BatchNorm, GroupNorm, LayerNorm])
@pytest.mark.parametrize("shape", [(1000, 64), (70, 33, 31, 64)])
def test_equal_values_become_beta_exactly(kind, shape):
    layer = kind().build(shape[1:]).train()
    layer.beta.value = np.linspace(-1, 1, 64)
    y = layer(np.full(shape, 284.99481, np.float32))
    np.testing.assert_array_equal(y, np.broadcast_to(layer.beta.value, shape))


def test_running_statistics_of_millions_of_values():
    x = np.random.default_rng(0).uniform(250, 320, (4, 512, 500, 3)).astype(np.float32)
    layer = BatchNorm(momentum=0.0).build(x.shape[1:]).train()
    layer(x)
    np.testing.assert_allclose(layer.running_mean.value, x.mean((0, 1, 2), dtype="f8"), rtol=1e-7)
    np.testing.assert_allclose(layer.running_var.value, x.astype("f8").var((0, 1, 2)), rtol=1e-6)


def test_group_norm_refuses_wrong_arguments():
    with pytest.raises(
        ValueError, match=r"GroupNorm with 4 groups .* divisible by 4, got input_shape \(2, 6\)"
    ):
        GroupNorm(4).build((2, 6))
    with pytest.raises(ValueError, match="`groups` must be at least 1"):
        GroupNorm(0)
    with pytest.raises(ValueError, match="`eps` must be in"):
        LayerNorm(eps=0)


@pytest.mark.parametrize("kind", [GroupNorm, LayerNorm])
def test_empty_batches_and_other_channels(kind):
    layer = kind().build((32,))
    assert layer(np.zeros((0, 32), np.float32)).shape == (0, 32)
    with pytest.raises(
        ValueError, match=rf"{kind.__name__} needs x of shape \(N, \.\.\., 32\), got \(2, 64\)"
    ):
        layer(np.zeros((2, 64), np.float32))


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 3, 4), (3, 2, 8)])
@pytest.mark.parametrize(
    "layer",
    [
        LocalResponseNorm(),
        LocalResponseNorm(3, 1.0, 0.5, 0.5),
        LocalResponseNorm(7, 0.5, 2.0),
        LocalResponseNorm(1),
    ],
    ids=repr,
)
def test_local_response_norm_honours_the_contract(layer, shape):
    check_layer(layer, shape)


def test_local_response_norm_by_hand():
    layer = LocalResponseNorm(size=3, k=1.0, alpha=1.0, beta=1.0).build((1, 1, 3), dtype=np.float64).train()
    y = layer(np.array([1.0, 2.0, 3.0]).reshape(1, 1, 1, 3))  # scales 6, 15, 14
    np.testing.assert_allclose(y.ravel(), [1 / 6, 2 / 15, 3 / 14], rtol=1e-15)
    dx = layer.backward(np.array([1.0, 0.0, 0.0]).reshape(1, 1, 1, 3))
    # x1 / (1 + x1^2 + x2^2): by x1 (s - 2 x1^2) / s^2, by x2 -2 x1 x2 / s^2
    np.testing.assert_allclose(dx.ravel(), [4 / 36, -4 / 36, 0], rtol=1e-14)


def test_local_response_norm_has_the_constants_of_the_paper_by_default():
    layer = LocalResponseNorm().build((1, 1, 7), dtype=np.float64)
    y = layer(np.full((1, 1, 1, 7), 100.0))  # of which each square adds 1 to k = 2
    np.testing.assert_allclose(y.ravel(), 100 / (2 + np.array([3, 4, 5, 5, 5, 4, 3])) ** 0.75, rtol=1e-14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 4}, "`size` must be odd"),
        ({"size": 0}, "`size` must be at least 1"),
        ({"k": 0}, "`k` must be in"),
        ({"alpha": -1e-4}, "`alpha` must be in"),
        ({"beta": -1}, "`beta` must be in"),
    ],
)
def test_local_response_norm_refuses_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        LocalResponseNorm(**arguments)


def test_local_response_norm_needs_images():
    with pytest.raises(ValueError, match=r"must be images of shape \(N, H, W, C\), got \(1, 4\)"):
        LocalResponseNorm().build((4,))
