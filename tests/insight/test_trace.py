import numpy as np
import pytest

from minicnn import (
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Parameter,
    Pool2D,
    PReLU,
    ReLU,
    Residual,
    Sequential,
)
from minicnn.insight import Trace, blocks
from minicnn.losses import softmax_cross_entropy
from minicnn.models import lenet5_1998


def net():
    inner = Sequential([Flatten(), Dense(5), ReLU()])
    return Sequential([Conv2D(3, 3), ReLU(), Pool2D(2), inner, Dense(2)]).build((6, 6, 1), rng=0)


def test_trace_gives_what_the_layers_give_one_after_the_other():
    model, x = net(), np.random.default_rng(0).random((4, 6, 6, 1), np.float32)
    trace = Trace(model, x)
    assert [type(layer).__name__ for layer in trace.layers] == [
        *("Conv2D", "ReLU", "Pool2D", "Flatten", "Dense", "ReLU", "Dense")
    ]
    assert np.array_equal(trace.outputs[-1], model.predict(x))
    assert np.array_equal(trace.outputs[1], np.maximum(model[0](x), 0))


def test_trace_gradients_are_those_of_training():
    model, rng = net(), np.random.default_rng(0)
    x, y = rng.integers(0, 256, (4, 6, 6, 1)).astype(np.uint8), np.array([0, 1, 1, 0])
    trace = Trace(model, x)
    _, dlogits = softmax_cross_entropy(trace.outputs[-1], y)
    gradients = trace.backward(dlogits)
    model.train()(x.astype(np.float32) / 255)
    dx = model.backward(dlogits)
    np.testing.assert_allclose(trace.dx, dx, rtol=1e-6, atol=1e-9)
    for ours, theirs in zip(
        (p for layer in trace.layers for p in layer.parameters()), model.parameters(), strict=True
    ):
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-6, atol=1e-9)
    # By hand, of the last two layers: dlogits @ kernel.T, and that where ReLU was positive.
    by_hand = dlogits @ model[4].kernel.value.T
    np.testing.assert_allclose(gradients[5], by_hand, rtol=1e-6)
    np.testing.assert_allclose(gradients[4], by_hand * (trace.outputs[4] > 0), rtol=1e-6)
    assert gradients[6] is dlogits


def test_trace_changes_nothing_of_the_model():
    model = Sequential([Dense(3), BatchNorm(), Dropout(0.5), Dense(2)]).build((4,), rng=0)
    weights, state = model.get_weights(), model.generators()[0].bit_generator.state
    trace = Trace(model, np.ones((8, 4), np.float32), training=True)
    trace.backward(np.ones((8, 2), np.float32))
    for before, after in zip(weights, model.get_weights(), strict=True):
        assert np.array_equal(before, after)
    assert not any(parameter.grad.any() for parameter in model.parameters())
    assert model.generators()[0].bit_generator.state == state
    assert not model.training


def test_trace_takes_dropout_and_batchnorm_as_for_an_answer():
    model = Sequential([BatchNorm(), Dropout(0.5)]).build((2,), rng=0, dtype=np.float64)
    model[0].gamma.value, model[0].beta.value = [3.0, 5.0], [7.0, 7.0]
    model[0].running_mean.value, model[0].running_var.value = [1.0, 1.0], [4.0 - 1e-3, 1.0 - 1e-3]
    trace = Trace(model, np.array([[1.0, 2.0]]))
    np.testing.assert_allclose(trace.outputs[-1], [[7.0, 12.0]], rtol=1e-12)
    trace.backward(np.array([[1.0, 1.0]]))
    np.testing.assert_allclose(trace.dx, [[1.5, 5.0]], rtol=1e-12)


def branched():
    layers = [
        Conv2D(4, 3),
        Residual([BatchNorm(), ReLU(), Residual([Conv2D(4, 3, padding="same")]), BatchNorm(), Dropout(0.5)]),
        Concatenate([[], [Sequential([Dropout(0.5), Conv2D(3, 1), BatchNorm()])]]),
        Flatten(),
        Dense(2),
    ]
    model = Sequential(layers).build((6, 5, 1), rng=0, dtype=np.float64)
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        parameter.value = parameter.value + rng.uniform(0.1, 0.5, parameter.shape)
    return model


def test_trace_gradients_inside_containers_are_those_of_an_answer():
    model, rng = branched(), np.random.default_rng(1)
    x, dy, direction = (rng.standard_normal(shape) for shape in ((2, 6, 5, 1), (2, 2), (2, 6, 5, 1)))
    trace = Trace(model, x)
    assert [type(layer).__name__ for layer in trace.layers] == [type(layer).__name__ for layer in model]
    # But for rounding: a prediction makes BatchNorm a part of the layer before it.
    np.testing.assert_allclose(trace.outputs[-1], model.predict(x), rtol=1e-12)
    trace.backward(dy)
    moved = [(model.predict(x + h * direction) * dy).sum() for h in (1e-6, -1e-6)]
    assert (trace.dx * direction).sum() == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-7)


def test_trace_of_containers_in_training_mode_is_that_of_training():
    model, rng = branched(), np.random.default_rng(1)
    x, dy = rng.standard_normal((4, 6, 5, 1)), rng.standard_normal((4, 2))
    trace = Trace(model, x, training=True)
    trace.backward(dy)
    model.train()
    np.testing.assert_array_equal(trace.outputs[-1], model(x))
    np.testing.assert_array_equal(trace.dx, model.backward(dy))


class Block(Layer):
    """A layer of one's own that is made of layers which differ in training."""

    def init_params(self, input_shape, rng):
        self.parts = [Dense(3), BatchNorm(), Sequential([Dropout(0.5)])]
        for part in self.parts:
            input_shape = part.build(input_shape, rng).output_shape

    def forward(self, x):
        y = x
        for part in self.parts:
            y = part(y)
        return x + y

    def backward(self, dy):
        dx = dy
        for part in reversed(self.parts):
            dx = part.backward(dx)
        return dx + dy


class DropPath(Layer):
    """A layer that holds another one, and draws random numbers itself."""

    def __init__(self, form):
        self.form = form

    def init_params(self, input_shape, rng):
        self.rng, self.inner = rng.spawn(1)[0], Block().build(input_shape, rng)

    def forward(self, x):
        kept = self.rng.integers(0, 2, (len(x), 1)) * 2.0 if self.training else np.ones((len(x), 1))
        if self.form == "cache":
            self.cache = kept
        elif self.training or self.form == "attribute":
            self.kept = kept
        return x + self.inner(x) * kept

    def backward(self, dy):
        return dy + self.inner.backward(dy * (self.cache if self.form == "cache" else self.kept))


class RReLU(Layer):
    """Random slopes for negative values, in evaluation their mean; no layers in it, and not affine."""

    def init_params(self, input_shape, rng):
        self.rng = rng.spawn(1)[0]

    def forward(self, x):
        negative = self.rng.uniform(0.1, 0.3, x.shape) if self.training else np.full(x.shape, 0.2)
        self.cache = slopes = np.where(x < 0, negative, 1)
        return x * slopes

    def backward(self, dy):
        return dy * self.cache


class OwnNorm(Layer):
    """A normalization whose backward is that of training mode."""

    batch_dependent = True

    def init_params(self, input_shape, rng):
        self.mean = Parameter(rng.standard_normal(input_shape), trainable=False)

    def forward(self, x):
        self.cache = len(x)
        return 3 * (x - (self.sum_over_batch(x) / len(x) if self.training else self.mean.value))

    def backward(self, dy):
        return 3 * (dy - self.sum_over_batch(dy) / self.cache)


@pytest.mark.parametrize(
    "own",
    [Block(), DropPath("cache"), DropPath("attribute"), RReLU(), Residual([OwnNorm(), RReLU()])],
    ids=repr,
)
def test_trace_gradients_of_own_layers_are_those_of_an_answer(own):
    model = Sequential([Dense(3), own, Dense(2)]).build((3,), rng=0, dtype=np.float64)
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.value = parameter.value + rng.uniform(0.1, 0.5, parameter.shape)
    x, dy, direction = (rng.standard_normal(shape) for shape in ((4, 3), (4, 2), (4, 3)))
    trace = Trace(model, x)
    np.testing.assert_allclose(trace.outputs[-1], model.predict(x), rtol=1e-12)
    trace.backward(dy)
    moved = [(model.predict(x + h * direction) * dy).sum() for h in (1e-6, -1e-6)]
    assert (trace.dx * direction).sum() == pytest.approx((moved[0] - moved[1]) / 2e-6, rel=1e-7)


def test_trace_has_outputs_but_no_gradients_of_a_layer_whose_backward_is_of_training_only():
    model = Sequential([DropPath("training"), ReLU()]).build((3,), rng=0)
    x = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    model.train()(x)  # leaves an attribute that backward would use
    trace = Trace(model.eval(), x)
    np.testing.assert_allclose(trace.outputs[-1], model.predict(x), rtol=1e-6)
    with pytest.raises(ValueError, match=r"DropPath draws random .* in self.cache what it needs"):
        trace.backward(np.ones((5, 3), np.float32))


def test_trace_demands_a_batch_for_a_built_model():
    with pytest.raises(ValueError, match=r"shape \('N', 6, 6, 1\), got \(6, 6, 1\)"):
        Trace(net(), np.zeros((6, 6, 1)))
    with pytest.raises(RuntimeError, match="call build"):
        Trace(Sequential([ReLU()]), np.zeros((1, 2)))


def test_a_container_is_one_block_and_slopes_of_pixels_are_no_kernel():
    layers = [
        Conv2D(3, 3),
        PReLU(shared=False),
        Residual([Conv2D(3, 1)]),
        ReLU(),
        Residual([ReLU()]),
        Pool2D(2),
    ]
    found = blocks(Sequential(layers).build((6, 6, 3), rng=0))
    assert found == [("0 Conv2D", 0, 1), ("2 Residual", 2, 4)]


def test_blocks_begin_with_a_kernel_and_keep_its_shape():
    layers = [BatchNorm(), Conv2D(3, 3, padding="same"), BatchNorm(), ReLU(), Pool2D(2), Flatten(), Dense(2)]
    found = blocks(Sequential(layers).build((6, 6, 3), rng=0))
    assert found == [("1 Conv2D", 1, 3), ("6 Dense", 6, 6)]
    found = blocks(lenet5_1998().build((32, 32, 1), rng=0))
    assert [block.name for block in found] == [
        *("0 Conv2D", "4 PartialConv2D", "8 Conv2D", "11 Dense", "13 Dense")
    ]
