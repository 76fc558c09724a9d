import numpy as np
import pytest

from minicnn import BatchNorm
from minicnn.testing import check_layer


@pytest.mark.parametrize("shape", [(1,), (6,), (4, 5, 3), (1, 1, 2)])
@pytest.mark.parametrize("layer", [BatchNorm(), BatchNorm(momentum=0.0, eps=1e-5)], ids=repr)
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


def test_batch_norm_refuses_an_empty_batch_in_training():
    layer = BatchNorm().build((3,)).train()
    with pytest.raises(ValueError, match="at least one value a channel"):
        layer(np.zeros((0, 3), np.float32))
