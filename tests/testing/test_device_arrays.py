"""The adapters with arrays of another module, which refuse to mix with those of NumPy as CuPy does."""

import numpy as np
import pytest
from testing import device_array as dev
from testing.affine import affine_backward, affine_backward_wrong, affine_forward

from minicnn.testing import LayerCheckError, LayerCheckRemark, check_layer, from_functions, from_object
from minicnn.testing.adapters.adapted import to_numpy


def weights():
    rng = np.random.default_rng(0)
    return dev.asarray(rng.standard_normal((5, 3))), dev.asarray(rng.standard_normal(3))


class Affine:
    """Attributes `w` and `dw`."""

    def __init__(self, scale=1.0):
        self.w, self.b = weights()
        self.scale = scale

    def forward(self, x):
        self.x = x
        return x @ self.w + self.b

    def backward(self, dy):
        self.dw, self.db = self.x.T @ dy, dy.sum(axis=0) * self.scale
        return dy @ self.w.T


class Adding(Affine):
    """Two dicts; gradients are added to arrays that stay."""

    def __init__(self, scale=1.0):
        super().__init__(scale)
        self.params = {"w": self.w, "b": self.b}
        self.grads = {name: array * 0.0 for name, array in self.params.items()}

    def forward(self, x):
        self.x = x
        return x @ self.params["w"] + self.params["b"]

    def backward(self, dy):
        self.grads["w"] += self.x.T @ dy
        self.grads["b"] += dy.sum(axis=0) * self.scale
        return dy @ self.params["w"].T


class Updating(Affine):
    """backward makes a step itself."""

    def backward(self, dy):
        dx = super().backward(dy)
        self.w -= self.dw * 0.01
        return dx


class Norm:
    """Batch normalization with running statistics; `momentum` 1 never updates them."""

    def __init__(self, momentum=0.9):
        self.momentum, self.training = momentum, True
        self.running_mean, self.running_var = dev.asarray(np.zeros(4)), dev.asarray(np.ones(4))

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(axis=0), x.var(axis=0)
            m = self.momentum
            self.running_mean = self.running_mean * m + mean * (1 - m)
            self.running_var = self.running_var * m + var * (1 - m)
        self.scale = dev.sqrt(var + 1e-5)
        self.h = (x - mean) / self.scale
        return self.h * 1.0

    def backward(self, dy):
        return (dy - dy.mean(axis=0) - self.h * (dy * self.h).mean(axis=0)) / self.scale


def test_right_functions_pass():
    check_layer(from_functions(affine_forward, affine_backward, weights(), asarray=dev.asarray), (5,))
    slope = from_functions(dev.tanh, lambda dy, x: dy * (1 - dev.tanh(x) ** 2), asarray=dev.asarray)
    check_layer(slope, (7,))


def test_a_wrong_function_is_found():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(
            from_functions(affine_forward, affine_backward_wrong, weights(), asarray=dev.asarray), (5,)
        )
    assert caught.value.checks[0] == "gradients"
    assert caught.value.failures[0].hint == "a mean over the batch in place of a sum, or the reverse"


@pytest.mark.parametrize("kind", [Affine, Adding])
def test_objects_pass_and_their_bugs_are_found(kind):
    check_layer(from_object(kind(), asarray=dev.asarray), (5,))
    with pytest.raises(LayerCheckError) as caught:
        check_layer(from_object(kind(scale=0.5), asarray=dev.asarray), (5,), only="gradients")
    assert caught.value.failures[0].array == "db"


def test_an_object_that_updates_its_weights_is_found():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(from_object(Updating(), asarray=dev.asarray), (5,))
    assert "changes a trainable weight" in caught.value.failures[0].what


def test_running_statistics_are_read_back():
    layer = from_object(Norm(), batch_dependent=True, asarray=dev.asarray)
    check_layer(layer, (4,))
    layer = from_object(Norm(), batch_dependent=True, asarray=dev.asarray)
    built = layer.build((4,), dtype=np.float64).train()
    x = np.random.default_rng(0).standard_normal((6, 4))
    built(x)
    np.testing.assert_allclose(built.running_mean.value, 0.1 * x.mean(axis=0))
    with pytest.raises(LayerCheckError) as caught:
        check_layer(from_object(Norm(1.0), batch_dependent=True, asarray=dev.asarray), (4,))
    assert caught.value.checks[0] == "modes"


def test_an_unknown_weight_is_a_remark():
    class Hidden(Affine):
        def backward(self, dy):
            return dy @ self.w.T

    with pytest.warns(LayerCheckRemark, match="no gradient is known of the array `w`"):
        from_object(Hidden(), asarray=dev.asarray).build((5,))


def test_a_forgotten_asarray_is_named():
    layer = from_functions(affine_forward, affine_backward, weights())
    with pytest.raises(
        LayerCheckError, match=r"weights must be arrays of NumPy, .* pass `asarray=testing.asarray`"
    ):
        check_layer(layer, (5,))
    with pytest.raises(TypeError, match="`asarray` must be a function such as cupy"):
        from_functions(affine_forward, affine_backward, asarray=dev)


class OnlyDLPack:
    def __init__(self, values):
        self.values, self.shape, self.dtype = values, values.shape, values.dtype

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


class Opaque:
    shape, dtype = (2,), np.dtype(np.float64)


def test_values_come_by_get_by_array_or_by_dlpack():
    values = np.arange(6.0).reshape(2, 3)
    for array in (values, dev.asarray(values), OnlyDLPack(values), values.tolist()):
        np.testing.assert_array_equal(to_numpy(array), values)
    assert not np.may_share_memory(to_numpy(OnlyDLPack(values)), values)
    with pytest.raises(TypeError, match="an array must have `get"):
        to_numpy(Opaque())
