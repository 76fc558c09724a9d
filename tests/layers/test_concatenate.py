import numpy as np
import pytest

from minicnn import BatchNorm, Concatenate, Conv2D, Dense, Dropout, Flatten, Pool2D, ReLU, Sequential
from minicnn.testing import check_layer

LAYERS = [
    (Concatenate([Conv2D(2, 1), [Conv2D(1, 1), ReLU(), Conv2D(3, 3, padding="same")]]), (4, 3, 2)),
    (Concatenate([[], [Conv2D(2, 3, padding="same")]]), (4, 4, 2)),
    (Concatenate([[Pool2D(3, 1, "same")], [Conv2D(2, 1), BatchNorm()], []]), (4, 4, 2)),
    (Concatenate([Dense(2), Dense(1), [Dropout(0.4), Dense(2)]]), (3,)),
    (Concatenate([[]]), (3,)),
    (Concatenate([ReLU()]), (2, 3)),
    (Concatenate([Concatenate([[], ReLU()]), Sequential([Dense(2)])]), (3,)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS)
def test_concatenate_honours_the_contract(layer, shape):
    check_layer(layer, shape)


def test_concatenate_is_its_branches_side_by_side():
    layer = Concatenate([Conv2D(2, 1), [], [ReLU(), Conv2D(3, 3, padding="same")]])
    layer.build((4, 5, 2), rng=0, dtype=np.float64).train()
    assert layer.output_shape == (4, 5, 7)
    one, three = Sequential(layer.branches[0]), Sequential(layer.branches[2])
    for part in (one, three):
        part.build((4, 5, 2), dtype=np.float64).train()  # they keep their weights
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((3, 4, 5, 2)), rng.standard_normal((3, 4, 5, 7))
    y, dx = layer(x), layer.backward(dy)
    gradients = [p.grad.copy() for p in layer.parameters()]
    layer.zero_grad()
    np.testing.assert_array_equal(y[..., :2], one(x))
    np.testing.assert_array_equal(y[..., 2:4], x)
    np.testing.assert_array_equal(y[..., 4:], three(x))
    expected = one.backward(dy[..., :2].copy()) + dy[..., 2:4] + three.backward(dy[..., 4:].copy())
    np.testing.assert_allclose(dx, expected, rtol=1e-14)
    for parameter, gradient in zip(layer.parameters(), gradients, strict=True):
        np.testing.assert_array_equal(parameter.grad, gradient)


def test_the_parts_of_a_concatenate_are_found_by_name():
    layer = Concatenate([Dense(2), [Dropout(0.1), Dense(3)]]).build((4,), rng=0)
    assert [name for name, _ in layer.named_parameters()] == [
        *("branches.0.0.kernel", "branches.0.0.bias", "branches.1.1.kernel", "branches.1.1.bias")
    ]
    assert len(layer.generators()) == 1
    assert layer.macs() == 4 * 2 + 4 * 3


def test_the_first_layers_do_without_dx_together():
    layer = Concatenate([Dense(2), [Dense(3), ReLU()], []]).build((4,), rng=0).train()
    assert layer.needs_dx is True
    layer.needs_dx = False
    assert layer.needs_dx is False
    assert [branch[0].needs_dx for branch in layer.branches[:2]] == [False, False]
    layer(np.ones((2, 4), np.float32))
    assert layer.backward(np.ones((2, 9), np.float32)) is None


def test_errors_name_the_branch_the_layer_and_the_shape():
    with pytest.raises(
        ValueError,
        match=r"^layer 0 \(Concatenate\), given \(4, 4, 2\): branch 1, layer 2 \(Conv2D\), given \(32,\): ",
    ):
        Sequential([Concatenate([ReLU(), [ReLU(), Flatten(), Conv2D(2, 1)]])]).build((4, 4, 2))
    layer = Concatenate([Dense(3), Dense(2)]).build((3,))
    with pytest.raises(ValueError, match=r"^branch 0, layer 0 \(Dense\), given \(1, 2\): Dense needs"):
        layer(np.zeros((1, 2), np.float32))
    with pytest.raises(
        ValueError, match=r"branches must agree in all but channels, got \(4, 4, 2\), \(3, 2, 5\)"
    ):
        Concatenate([ReLU(), Conv2D(5, (2, 3))]).build((4, 4, 2))
    with pytest.raises(ValueError, match=r"agree in all but channels, got \(4, 3\), \(12,\)"):
        Concatenate([ReLU(), Flatten()]).build((4, 3))
    with pytest.raises(TypeError, match=r"^branch 1, layer 0 must be a Layer object, got the class ReLU"):
        Concatenate([Dense(1), ReLU])
    with pytest.raises(TypeError, match=r"^branch 0, layer 1 must be a Layer object, got 3"):
        Concatenate([[Dense(1), 3]])
    with pytest.raises(ValueError, match="`branches` must hold at least 1 branch, got none"):
        Concatenate([])
    layer.train()(np.zeros((1, 3), np.float32))
    with pytest.raises(ValueError, match=r"dy must have the output's shape \(1, 5\), got \(1, 3\)"):
        layer.backward(np.zeros((1, 3), np.float32))


def test_repr_is_a_program():
    layer = Concatenate([Dense(2), [ReLU(), Dense(1)], []])
    assert repr(eval(repr(layer))) == repr(layer)
    lines = ["Concatenate([", "    [", "        Dense(2),", "    ],", "    ["]
    assert repr(layer).splitlines()[:5] == lines
