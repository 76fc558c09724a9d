import numpy as np
import pytest
from cases import pool_cases
from hypothesis import given, settings

from minicnn import GlobalAveragePool2D, Pool2D
from minicnn.testing import LayerCheckError, check_layer


@pytest.mark.parametrize("mode", ["max", "avg"])
@pytest.mark.parametrize(
    ("arguments", "shape"),
    [
        ((2,), (6, 6, 2)),
        ((2,), (7, 5, 2)),
        ((1,), (1, 1, 1)),
        ((3, 2), (7, 8, 2)),
        (((3, 2), (1, 2)), (5, 6, 2)),
        ((2, 3), (8, 7, 1)),
        ((3, 1, "same"), (5, 5, 2)),
        ((2, 2, "same"), (5, 6, 2)),
        (((4, 2), (3, 1), "same"), (7, 6, 1)),
        ((3, 2, ((1, 1), (0, 2))), (5, 6, 2)),
    ],
)
def test_pool2d_honours_the_contract(arguments, shape, mode):
    check_layer(Pool2D(*arguments, mode=mode), shape)


@pytest.mark.parametrize("ties", ["first", "split", "all"])
def test_pool2d_honours_the_contract_with_every_rule_for_ties(ties):
    check_layer(Pool2D(3, 2, "same", ties=ties), (6, 7, 2))


def test_only_the_textbook_s_rule_makes_gradient_out_of_ties():
    class Undeclared(Pool2D):
        def __init__(self):
            super().__init__(2, ties="all")
            self.rule, self.ties = "all", "first"

        def forward(self, x):
            self.ties = self.rule
            y = super().forward(x)
            self.ties = "first"
            return y

        def backward(self, dy):
            self.ties = self.rule
            dx = super().backward(dy)
            self.ties = "first"
            return dx

    with pytest.raises(LayerCheckError) as caught:
        check_layer(Undeclared(), (6, 6, 2))
    assert caught.value.checks == ["ties"]


@settings(max_examples=20)
@given(case=pool_cases())
def test_pool2d_honours_the_contract_in_drawn_geometries(case):
    checks = ("shapes", "gradients", "ties", "geometry", "padding")
    for mode in ("max", "avg"):
        layer = Pool2D(case.window, case.strides, case.padding, mode)
        check_layer(layer, case.shape[1:], rng=case.seed, only=checks)


X = np.array([[-1.0, -2.0, -5.0], [-3.0, -1.0, -4.0], [-6.0, -7.0, -8.0]]).reshape(1, 3, 3, 1)


def pooled(layer, x=X):
    layer.build(x.shape[1:], dtype=np.float64).train()
    y = layer(x)
    return y[0, :, :, 0], layer.backward(np.ones_like(y))[0, :, :, 0]


def test_max_pooling_by_hand_of_negative_values_with_padding():
    y, dx = pooled(Pool2D(2, padding="same"))
    np.testing.assert_array_equal(y, [[-1, -4], [-6, -8]])
    np.testing.assert_array_equal(dx, [[1, 0, 0], [0, 0, 1], [1, 0, 1]])  # of -1 and -1 the first


@pytest.mark.parametrize(
    ("ties", "corner"),
    [("first", [[1, 0], [0, 0]]), ("all", [[1, 0], [0, 1]]), ("split", [[0.5, 0], [0, 0.5]])],
)
def test_ties_by_hand(ties, corner):
    _, dx = pooled(Pool2D(2, ties=ties))
    np.testing.assert_array_equal(dx, np.pad(np.array(corner), ((0, 1), (0, 1))))


def test_average_pooling_by_hand_counts_real_cells_only():
    y, dx = pooled(Pool2D(2, padding="same", mode="avg"))
    np.testing.assert_array_equal(y, [[-1.75, -4.5], [-6.5, -8]])
    np.testing.assert_array_equal(dx, [[0.25, 0.25, 0.5], [0.25, 0.25, 0.5], [0.5, 0.5, 1]])


def test_overlapping_windows_add_their_gradients():
    _, dx = pooled(Pool2D(2, strides=1))
    np.testing.assert_array_equal(dx, [[1, 0, 0], [0, 3, 0], [0, 0, 0]])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Pool2D(0), ValueError, "`pool_size` must be at least 1"),
        (lambda: Pool2D("2"), TypeError, "`pool_size` must be an integer or two of them"),
        (lambda: Pool2D(2, strides=(1, 0)), ValueError, "`strides` must be at least 1"),
        (lambda: Pool2D(2, padding="full"), ValueError, "`padding` must be"),
        (lambda: Pool2D(2, mode="sum"), ValueError, "`mode` must be 'max' or 'avg', got 'sum'"),
        (lambda: Pool2D(2, ties="last"), ValueError, "`ties` must be one of 'first', 'all', 'split'"),
        (lambda: Pool2D(3).build((2, 5, 1)), ValueError, "does not fit into the padded input"),
        (lambda: Pool2D(2, padding=((2, 0), (0, 0))).build((4, 4, 1)), ValueError, "smaller than the window"),
        (lambda: Pool2D(2).build((4, 4)), ValueError, "must be images"),
        (lambda: GlobalAveragePool2D().build((4,)), ValueError, "must be images of shape (N, H, W, C)"),
    ],
)
def test_pooling_refuses_wrong_arguments_in_a_sentence(make, error, message):
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
