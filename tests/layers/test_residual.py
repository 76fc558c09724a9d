import numpy as np
import pytest

from minicnn import (
    Adam,
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    ReLU,
    Residual,
    Sequential,
    Trainer,
)
from minicnn.testing import check_layer


def basic(filters, strides=1):
    return [
        Conv2D(filters, 3, strides=strides, padding="same", use_bias=False),
        BatchNorm(),
        ReLU(),
        Conv2D(filters, 3, padding="same"),
    ]


LAYERS = [
    (Residual([Dense(4), ReLU(), Dense(5)]), (5,)),
    (Residual(Dense(3)), (2, 3)),
    (Residual([ReLU()]), (4, 4, 2)),
    (Residual([]), (3,)),
    (Residual([], shortcut=[Dense(3)]), (3,)),
    (Residual([Conv2D(2, 3, padding="same")], shortcut=[]), (4, 3, 2)),
    (Residual(basic(2)), (4, 3, 2)),
    (Residual(basic(4, 2), shortcut=[Conv2D(4, 1, strides=2), BatchNorm()]), (5, 4, 2)),
    (Residual([Dropout(0.5), Dense(4)], shortcut=Dense(4)), (3,)),
    (Sequential([Residual([Residual([Dense(3)]), ReLU()]), ReLU()]), (3,)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_residual_honours_the_contract(layer, shape):
    check_layer(layer, shape)


def test_residual_adds_f_and_the_input_by_hand():
    layer = Residual([Dense(2)]).build((2,), dtype=np.float64).train()
    layer.layers[0].kernel.value = [[1.0, 2.0], [3.0, 4.0]]
    layer.layers[0].bias.value = [0.5, -0.5]
    np.testing.assert_array_equal(layer(np.array([[1.0, 10.0]])), [[1 + 31.5, 10 + 41.5]])
    np.testing.assert_array_equal(layer.backward(np.array([[1.0, -1.0]])), [[1 - 1.0, -1 - 1.0]])
    np.testing.assert_array_equal(layer.layers[0].kernel.grad, [[1, -1], [10, -10]])


def test_residual_with_a_shortcut_is_the_sum_of_two_chains():
    chains = [lambda: [Conv2D(4, 3, strides=2, padding="same"), ReLU()], lambda: [Conv2D(4, 1, strides=2)]]
    layer = Residual(chains[0](), shortcut=chains[1]()).build((6, 5, 3), rng=0, dtype=np.float64).train()
    apart = [Sequential(make()).build((6, 5, 3), dtype=np.float64).train() for make in chains]
    weights = layer.get_weights()
    apart[0].set_weights(weights[:2])
    apart[1].set_weights(weights[2:])
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((2, 6, 5, 3)), rng.standard_normal((2, 3, 3, 4))
    np.testing.assert_array_equal(layer(x), apart[0](x) + apart[1](x))
    np.testing.assert_array_equal(layer.backward(dy), apart[0].backward(dy) + apart[1].backward(dy))
    theirs = [p.grad for model in apart for p in model.parameters()]
    for ours, expected in zip(layer.parameters(), theirs, strict=True):
        np.testing.assert_array_equal(ours.grad, expected)


def test_the_parts_of_a_residual_are_found_by_name():
    layer = Residual([Dense(2), Dropout(0.5), Dense(3)], shortcut=[Dense(3)]).build((3,), rng=0)
    assert [name for name, _ in layer.named_parameters()] == [
        *("layers.0.kernel", "layers.0.bias", "layers.2.kernel", "layers.2.bias"),
        *("shortcut.0.kernel", "shortcut.0.bias"),
    ]
    assert len(layer.generators()) == 1
    assert layer.macs() == 3 * 2 + 2 * 3 + 3 * 3
    layer.train()
    assert all(part.training for _, part in layer.named_layers())


def test_nothing_is_computed_for_a_dx_that_is_not_needed():
    class First(Dense):
        def backward(self, dy):
            dx = super().backward(dy)
            asked.append(self.needs_dx)
            return dx

    for layer, firsts in (
        (Residual([First(3)]), [False]),
        (Residual([First(3), Dense(3)], shortcut=[First(3)]), [False, False]),
        (Residual([Residual([First(3)])]), [False]),
    ):
        asked = []
        layer.build((3,), rng=0).train()
        assert layer.needs_dx is True
        layer.needs_dx = False
        assert layer.needs_dx is False
        layer(np.ones((2, 3), np.float32))
        assert layer.backward(np.ones((2, 3), np.float32)) is None
        assert asked == firsts


def test_shapes_that_differ_are_both_named_with_a_shortcut_that_fits():
    strided = [Conv2D(16, 3, strides=2, padding="same")]
    with pytest.raises(
        ValueError,
        match=r"f\(x\) and x must have the same shape, got \(4, 3, 16\) and \(7, 6, 8\): give `shortcut=` "
        r"layers that turn x into the shape of f\(x\), such as shortcut=\[Conv2D\(16, 1, strides=2\)\]",
    ):
        Residual(strided).build((7, 6, 8))
    assert Residual(strided, shortcut=[Conv2D(16, 1, strides=2)]).build((7, 6, 8)).output_shape == (4, 3, 16)
    with pytest.raises(ValueError, match=r"strides=\(1, 2\)\)\]$"):
        Residual([Conv2D(1, 3, (1, 2), padding="same")]).build((5, 4, 1))
    with pytest.raises(ValueError, match=r"such as shortcut=\[Conv2D\(2, 1\)\]$"):
        Residual([Conv2D(2, 3, padding="same")]).build((5, 4, 1))
    with pytest.raises(ValueError, match=r"such as shortcut=\[Dense\(4\)\]$"):
        Residual([Dense(4)]).build((3,))
    with pytest.raises(ValueError, match=r"got \(6,\) and \(3, 2\): give `shortcut=` .* shape of f\(x\)$"):
        Residual([Flatten()]).build((3, 2))
    with pytest.raises(
        ValueError, match=r"f\(x\) and shortcut\(x\) must have the same shape, got \(4,\) and"
    ):
        Residual([Dense(4)], shortcut=[Dense(1)]).build((3,))


def test_an_output_that_would_be_broadcast_is_refused():
    class Mean(Layer):
        def forward(self, x):
            return x.mean(axis=(1, 2), keepdims=True)

    layer = Residual([Mean()]).build((1, 1, 3))
    with pytest.raises(ValueError, match=r"got \(1, 1, 3\) and \(2, 2, 3\)"):
        layer(np.zeros((2, 2, 2, 3), np.float32))


def test_errors_name_the_branch_the_layer_and_the_shape():
    with pytest.raises(
        ValueError,
        match=r"^layer 1 \(Residual\), given \(4, 4, 2\): shortcut, layer 1 \(Conv2D\), given \(32,\): C",
    ):
        Sequential([ReLU(), Residual([ReLU()], shortcut=[Flatten(), Conv2D(2, 1)])]).build((4, 4, 2))
    with pytest.raises(
        ValueError, match=r"^layer 0 \(Residual\), given \(4,\): layer 0 \(Conv2D\), given \(4,\)"
    ):
        Sequential([Residual([Conv2D(1, 1)])]).build((4,))
    layer = Residual([Dense(3)]).build((3,))
    with pytest.raises(ValueError, match=r"^layer 0 \(Dense\), given \(1, 2\): Dense needs"):
        layer(np.zeros((1, 2), np.float32))
    with pytest.raises(RuntimeError, match="needs a forward pass in training mode"):
        layer.backward(np.zeros((1, 3), np.float32))
    with pytest.raises(TypeError, match=r"^layer 1 must be a Layer object, got the class ReLU"):
        Residual([Dense(1), ReLU])
    with pytest.raises(TypeError, match=r"^shortcut, layer 0 must be a Layer object, got 3"):
        Residual([Dense(1)], shortcut=3)
    one = Dense(3)
    with pytest.raises(ValueError, match=r"'layers.0' and 'shortcut.0' are the same Dense"):
        Residual([one], shortcut=[one]).build((3,))


def test_repr_is_a_program():
    for layer in (
        Residual([Dense(2), ReLU()]),
        Residual(Dense(2), shortcut=Residual([ReLU()])),
        Residual([]),
    ):
        assert repr(eval(repr(layer))) == repr(layer)
    expected = "Residual([\n    Dense(2),\n    ReLU(),\n], shortcut=[\n    Dense(2),\n])"
    assert repr(Residual([Dense(2), ReLU()], shortcut=[Dense(2)])) == expected


def test_a_net_with_residuals_trains_in_shards_and_summarizes():
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 6, 6, 1), np.float32), np.arange(64) % 3

    def fitted(threads):
        layers = [
            Conv2D(4, 3),
            Residual([ReLU(), Conv2D(4, 3, padding="same")]),
            Residual([Conv2D(6, 3, strides=2, padding="same")], shortcut=Conv2D(6, 1, strides=2)),
            Flatten(),
            Dense(3),
        ]
        model = Sequential(layers).build((6, 6, 1), rng=0, dtype=np.float64)
        history = Trainer(model, Adam(), threads=threads).fit(x, y, epochs=3, batch_size=32, verbose=0)
        return model, history.history["loss"]

    (one, losses), (two, _) = fitted(1), fitted(2)
    assert losses[-1] < losses[0]
    for ours, theirs in zip(one.get_weights(), two.get_weights(), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)
    lines = one.summary().splitlines()
    assert lines[3].split()[:2] == ["1", "Residual"]
    assert lines[4].split()[5:7] == ["252", f"{2 * 2 * 6 * (9 * 4 + 4):,}"]  # 4 * 9 * 6 + 6 + 4 * 6 + 6
