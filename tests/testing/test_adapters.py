"""Functions and objects as layers: right ones pass, wrong ones are found, by each of the conventions."""

from types import SimpleNamespace

import numpy as np
import pytest
from testing.affine import affine_backward, affine_backward_wrong, affine_forward

from minicnn.testing import LayerCheckError, LayerCheckRemark, check_layer, from_functions, from_object


def weights(rng=None):
    rng = np.random.default_rng(0) if rng is None else rng
    return rng.standard_normal((5, 3)), rng.standard_normal(3)


class Pairs:
    """Attributes `w` and `dw`; the gradients appear with the first backward."""

    def __init__(self, scale=1.0):
        self.w, self.b = weights()
        self.scale = scale

    def forward(self, x):
        self.x = x
        return x @ self.w + self.b

    def backward(self, dy):
        self.dw, self.db = self.x.T @ dy, self.scale * dy.sum(axis=0)
        return dy @ self.w.T


class Suffixes(Pairs):
    """Attributes `w` and `w_grad`, which are added up."""

    def __init__(self, scale=1.0):
        super().__init__(scale)
        self.w_grad, self.b_grad = np.zeros((5, 3)), np.zeros(3)

    def backward(self, dy):
        self.w_grad += self.x.T @ dy
        self.b_grad += self.scale * dy.sum(axis=0)
        return dy @ self.w.T


class Dicts:
    """`params` and `grads`, two dicts; the second one is filled by backward."""

    def __init__(self, scale=1.0):
        self.params, self.grads, self.scale = dict(zip("wb", weights(), strict=True)), {}, scale

    def __call__(self, x):
        self.x = x
        return x @ self.params["w"] + self.params["b"]

    def backward(self, dy):
        self.grads = {"w": self.x.T @ dy, "b": self.scale * dy.sum(axis=0)}
        return dy @ self.params["w"].T


class Lists(Pairs):
    """`params` and `grads`, two lists, beside attributes that are the same arrays."""

    def __init__(self, scale=1.0):
        super().__init__(scale)
        self.params = [self.w, self.b]
        self.grads = [np.zeros((5, 3)), np.zeros(3)]

    def backward(self, dy):
        self.grads[0][...] = self.x.T @ dy
        self.grads[1][...] = self.scale * dy.sum(axis=0)
        return dy @ self.w.T


class Tensor:
    def __init__(self, data, name=None):
        self.data, self.grad, self.name = data, None, name


class Objects:
    """`parameters()` returns objects with `data` and `grad`."""

    def __init__(self, scale=1.0):
        w, b = weights()
        self.w, self.b, self.scale = Tensor(w, "w"), Tensor(b), scale

    def parameters(self):
        return [self.w, self.b]

    def forward(self, x):
        self.x = x
        return x @ self.w.data + self.b.data

    def backward(self, dy):
        self.w.grad, self.b.grad = self.x.T @ dy, self.scale * dy.sum(axis=0)
        return dy @ self.w.data.T


class RunningNorm:
    """Batch normalization: running statistics that are replaced, a switch `training`."""

    def __init__(self, keep=0.9):
        self.gamma, self.beta, self.training, self.keep = np.ones(4), np.zeros(4), True, keep
        self.running_mean, self.running_var = np.zeros(4), np.ones(4)

    def forward(self, x):
        mean, var = self.running_mean, self.running_var
        if self.training:
            mean, var = x.mean(axis=0), x.var(axis=0)
            self.running_mean = self.keep * self.running_mean + (1 - self.keep) * mean
            self.running_var = self.keep * self.running_var + (1 - self.keep) * var
        self.scale = 1 / np.sqrt(var + 1e-5)
        self.h = (x - mean) * self.scale
        return self.gamma * self.h + self.beta

    def backward(self, dy):
        self.dgamma, self.dbeta = (dy * self.h).sum(axis=0), dy.sum(axis=0)
        g = dy * self.gamma
        return self.scale * (g - g.mean(axis=0) - self.h * (g * self.h).mean(axis=0))


CONVENTIONS = [Pairs, Suffixes, Dicts, Lists, Objects]


def test_right_functions_pass_in_each_form():
    check_layer(from_functions(affine_forward, affine_backward, weights()), (5,))
    draw = from_functions(affine_forward, affine_backward, lambda shape, rng: weights(rng))
    check_layer(draw, (5,))
    named = from_functions(
        affine_forward,
        lambda dy, saved: (dy @ saved[1].T, {"b": dy.sum(axis=0), "w": saved[0].T @ dy}),
        dict(zip("wb", weights(), strict=True)),
    )
    check_layer(named, (5,))
    check_layer(from_functions(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2)), (7,))


def test_weights_of_functions_have_the_names_of_the_arguments():
    layer = from_functions(affine_forward, affine_backward, weights()).build((5,))
    assert [name for name, _ in layer.named_parameters()] == ["w", "b"]
    with pytest.raises(LayerCheckError, match=r"array +db\n") as caught:
        check_layer(from_functions(affine_forward, affine_backward_wrong, weights()), (5,))
    assert caught.value.checks[0] == "gradients"


def test_functions_get_the_mode_and_a_generator():
    def drop(x, training, rng):
        mask = (rng.random(x.shape) < 0.5) * 2.0 if training else np.ones(x.shape)
        mask = mask.astype(x.dtype)
        return x * mask, mask

    check_layer(from_functions(drop, lambda dy, mask: dy * mask), (7,))
    with pytest.raises(LayerCheckError):
        check_layer(from_functions(drop, lambda dy, mask: dy), (7,))


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_objects_of_each_convention_are_understood(convention):
    check_layer(from_object(convention()), (5,))
    with pytest.raises(LayerCheckError, match="gradient of the weight") as caught:
        check_layer(from_object(convention(scale=1.001)), (5,), only=("gradients",))
    assert caught.value.failures[0].array in ("db", "dparam1")


def test_an_object_with_own_names_is_told_the_gradients():
    class Own(Pairs):
        def backward(self, dy):
            dx = super().backward(dy)
            self.delta_w, self.delta_b = self.__dict__.pop("dw"), self.__dict__.pop("db")
            return dx

    with pytest.warns(LayerCheckRemark, match="no gradient is known of the array `w`"):
        from_object(Own()).build((5,))
    check_layer(from_object(Own(), {"w": "delta_w", "b": "delta_b"}), (5,))
    with pytest.raises(LayerCheckError, match="gradient of the weight 'b'"):
        check_layer(from_object(Own(scale=2.0), {"w": "delta_w", "b": "delta_b"}), (5,), only=("gradients",))


def test_a_forgotten_gradient_does_not_pass_silently():
    class NoBias(Pairs):
        def backward(self, dy):
            dx = super().backward(dy)
            del self.db
            return dx

    class NoBiasInDict(Dicts):
        def backward(self, dy):
            dx = super().backward(dy)
            del self.grads["b"]
            return dx

    class Nested:
        def __init__(self):
            self.inner = SimpleNamespace(part=Pairs())

        def forward(self, x):
            return self.inner.part.forward(x)

        def backward(self, dy):
            return self.inner.part.backward(dy)

    with pytest.warns(LayerCheckRemark, match="no gradient is known of the array `b`"):
        from_object(NoBias()).build((5,))
    with pytest.raises(LayerCheckError, match="must leave a gradient of 'b', and left none"):
        check_layer(from_object(NoBiasInDict()), (5,))
    with pytest.warns(LayerCheckRemark, match="no gradient is known of the arrays in the objects"):
        from_object(Nested()).build((5,))
    check_layer(from_object(NoBias(), {"w": "dw"}), (5,), only="gradients")


def test_running_statistics_are_state_that_is_saved_with_the_weights():
    layer = from_object(RunningNorm(), batch_dependent=True)
    check_layer(layer, (4,))
    built = layer.build((4,)).train()
    x = np.random.default_rng(0).standard_normal((6, 4)).astype(np.float32)
    built(x)
    np.testing.assert_allclose(
        dict(built.named_parameters())["running_mean"].value, 0.1 * x.mean(axis=0), 1e-5
    )
    with pytest.raises(LayerCheckError):
        check_layer(from_object(RunningNorm(keep=0.5)), (4,))  # not declared as `batch_dependent`


def test_a_function_may_make_the_object():
    def make(input_shape, rng):
        made = Pairs()
        made.w = rng.standard_normal((*input_shape, 3))
        return made

    check_layer(from_object(make), (5,))


def test_the_object_itself_is_not_changed():
    made = Lists()
    before = [array.copy() for array in (made.w, made.b)]
    check_layer(from_object(made), (5,), only=("gradients",))
    assert made.grads[0].max() == 0
    for array, old in zip((made.w, made.b), before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: from_functions(3, affine_backward), "`forward` must be a function, got 3"),
        (lambda: from_functions(affine_forward, None), "`backward` must be a function, got None"),
        (lambda: from_object(3), "`made` must have a method backward, got 3"),
    ],
)
def test_wrong_arguments_raise_clear_errors(make, message):
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("backward", "message"),
    [
        (lambda dy, saved: dy, "a gradient for each of 2 weights, got 0"),
        (lambda dy, saved: (dy, {"w": 1}), "must return a gradient of 'b', got ['w']"),
    ],
)
def test_missing_gradients_are_named(backward, message):
    with pytest.raises(LayerCheckError) as caught:
        check_layer(from_functions(affine_forward, backward, weights()), (5,))
    assert message in str(caught.value)


def test_reprs_are_the_same_in_every_process():
    assert repr(from_object(Pairs())) == "from_object(Pairs)"
    assert repr(from_functions(affine_forward, affine_backward)) == "from_functions(affine_forward)"


def test_running_statistics_without_weights_are_no_unknown_weights():
    class Center:
        def __init__(self):
            self.running_mean, self.training = np.zeros(4), True

        def forward(self, x):
            mean = x.mean(axis=0) if self.training else self.running_mean
            if self.training:
                self.running_mean = 0.9 * self.running_mean + 0.1 * mean
            return x - mean

        def backward(self, dy):
            return dy - dy.mean(axis=0)

    check_layer(from_object(Center(), batch_dependent=True), (4,))


def test_the_call_that_repeats_a_failure_names_the_adapted_code():
    layer = from_functions(affine_forward, affine_backward_wrong, weights())
    with pytest.raises(LayerCheckError) as caught:
        check_layer(layer, (5,), only="gradients")
    call = "check_layer(layer, (5,), rng=0, only=('gradients',))  # layer: from_functions(affine_forward)"
    assert caught.value.repeat == f"    from minicnn.testing import check_layer\n    {call}"


class Squash:
    """tanh, whose cache is the returned array."""

    def forward(self, x):
        self.y = np.tanh(x)
        return self.y

    def backward(self, dy):
        return dy * (1 - self.y**2)


class Network:
    """Objects in a list, a dict and an attribute, each with weights of its own."""

    def __init__(self, scale=1.0):
        self.body, self.last = [Pairs(), Squash()], {"norm": RunningNorm(), "scaled": Pairs(scale)}
        self.body[0].w, self.body[0].b = np.eye(5, 4) - 0.3, np.ones(4)
        self.last["scaled"].w, self.last["scaled"].b = np.ones((4, 2)), np.ones(2)

    def forward(self, x):
        for part in [*self.body, *self.last.values()]:
            x = part.forward(x)
        return x

    def backward(self, dy):
        for part in reversed([*self.body, *self.last.values()]):
            dy = part.backward(dy)
        return dy


def test_weights_and_modes_of_objects_within_an_object_are_found():
    layer = from_object(Network(), batch_dependent=True).build((5,), rng=0)
    names = [name for name, _ in layer.named_parameters()]
    inner = ["body.0.w", "body.0.b", "last.norm.gamma", "last.norm.beta", "last.scaled.w", "last.scaled.b"]
    assert names == [*inner, "last.norm.running_mean", "last.norm.running_var"]
    check_layer(from_object(Network(), batch_dependent=True), (5,))
    with pytest.raises(LayerCheckError, match=r"weight 'last.scaled.b'"):
        check_layer(from_object(Network(0.5), batch_dependent=True), (5,), only="gradients")


def test_a_returned_array_in_the_cache_is_a_remark_elsewhere():
    with pytest.warns(LayerCheckRemark, match="right where nobody else writes into it"):
        check_layer(from_object(Squash()), (6,))


class Dropped:
    """A dropout with a generator of its own, told the mode by an attribute."""

    def __init__(self, scale=2.0):
        self.rng, self.scale, self.train = np.random.default_rng(0), scale, True

    def forward(self, x):
        self.mask = self.scale * (self.rng.random(x.shape) < 0.5) if self.train else np.ones(x.shape)
        self.mask = self.mask.astype(x.dtype)
        return x * self.mask

    def backward(self, dy):
        return dy * self.mask


class DroppedGlobally(Dropped):
    """A dropout of the global stream, told the mode by an argument."""

    def forward(self, x, train_flg=True):
        self.mask = self.scale * (np.random.rand(*x.shape) < 0.5) if train_flg else 1.0  # noqa: NPY002
        return x * self.mask


class RedrawsInBackward(DroppedGlobally):
    def backward(self, dy):
        return dy * self.scale * (np.random.rand(*dy.shape) < 0.5)  # noqa: NPY002


class Drops:
    """A net that holds a dropout."""

    def __init__(self):
        self.layers = [Pairs(), Dropped()]

    def forward(self, x):
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def backward(self, dy):
        for layer in reversed(self.layers):
            dy = layer.backward(dy)
        return dy


@pytest.mark.parametrize("made", [Dropped, Drops])
def test_objects_may_hold_generators_and_a_flag_of_the_mode(made):
    check_layer(from_object(made()), (5,))


def test_an_object_that_drops_without_a_scale_is_found():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(from_object(Dropped(scale=1.0)), (5,))
    assert caught.value.checks == ["modes"]


def test_draws_from_the_global_stream_are_a_remark_and_repeat():
    before = np.random.get_state()[1:3]  # noqa: NPY002
    with pytest.warns(LayerCheckRemark) as caught:
        check_layer(from_object(DroppedGlobally()), (5,))
    remarks = "".join(str(remark.message) for remark in caught)
    assert "global random stream" in remarks
    assert "y is float64 for an x of float32" in remarks
    check_layer(from_object(DroppedGlobally()), (5,), only="gradients")
    with pytest.raises(LayerCheckError, match="a second backward returns a different dx"):
        check_layer(from_object(RedrawsInBackward()), (5,), only="accumulation")
    after = np.random.get_state()[1:3]  # noqa: NPY002
    assert np.array_equal(before[0], after[0])
    assert before[1] == after[1]


def test_views_of_the_arguments_are_a_remark():
    flatten = from_functions(lambda x: (x.reshape(len(x), -1), x.shape), lambda dy, shape: dy.reshape(shape))
    with pytest.warns(LayerCheckRemark) as caught:
        check_layer(flatten, (4, 3, 2))
    assert [str(remark.message).split("aliasing: ")[-1] for remark in caught] == [
        "y is x, or a view of it: right where nobody else writes into it",
        "dx is dy, or a view of it: right where nobody else writes into it",
    ]


def test_gradients_that_backward_returns_are_for_functions():
    class Returns(Pairs):
        def backward(self, dy):
            return super().backward(dy), self.dw

    layer = from_object(Returns(), {}).build((5,)).train()
    dy = layer(np.ones((2, 5), np.float32))
    with pytest.raises(TypeError, match="backward must return dx alone, got 2 results"):
        layer.backward(dy)
