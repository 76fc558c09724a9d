import numpy as np
import pytest
from cases import conv_cases, pool_cases
from hypothesis import given
from references import naive_conv2d, naive_pool2d

from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.ops.pool import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from minicnn.testing.properties import (
    assert_adjoint,
    assert_linear,
    assert_mass_conserved,
    assert_pointwise_is_matrix_product,
    assert_same_bits,
    assert_shift_equivariant,
    assert_translation_equivariant,
)


@given(case=conv_cases())
def test_convolution_is_linear_and_its_gradients_are_its_adjoints(case):
    x, kernel, _ = case.arrays()
    y = np.random.default_rng(case.seed + 1).standard_normal(conv2d(x, kernel, None, *case.geometry).shape)

    def of_x(x):
        return conv2d(x, kernel, None, *case.geometry)

    def of_kernel(kernel):
        return conv2d(x, kernel, None, *case.geometry)

    assert_linear(of_x, x, x[::-1])
    assert_linear(of_kernel, kernel, kernel[::-1, ::-1])
    assert_adjoint(of_x, lambda dy: conv2d_backward(dy, x, kernel, *case.geometry)[0], x, y)
    assert_adjoint(of_kernel, lambda dy: conv2d_backward(dy, x, kernel, *case.geometry)[1], kernel, y)


@given(case=conv_cases())
def test_convolution_equals_loops_bit_for_bit_on_integers(case):
    assert_same_bits(
        lambda x, kernel, bias: conv2d(x, kernel, bias, *case.geometry),
        lambda x, kernel, bias: naive_conv2d(
            x, kernel, bias, case.strides, case.pads, case.dilation, case.groups
        ),
        case.shape,
        case.kernel_shape,
        case.kernel_shape[3:],
        rng=case.seed,
    )


@given(case=pool_cases())
def test_pooling_moves_with_the_image_and_conserves_mass(case):
    x, geometry = case.x(), (case.window, case.strides, case.padding)
    assert_shift_equivariant(lambda x: max_pool2d(x, *geometry), x, 0.5)
    assert_shift_equivariant(lambda x: avg_pool2d(x, *geometry), x, -3.0)
    assert_same_bits(
        lambda x: max_pool2d(x, *geometry),
        lambda x: naive_pool2d(x, case.window, case.strides, case.pads, "max"),
        case.shape,
    )
    dy = np.random.default_rng(case.seed).standard_normal(max_pool2d(x, *geometry).shape)
    assert_mass_conserved(max_pool2d_backward(dy, x, *geometry, "split"), dy)
    assert_mass_conserved(avg_pool2d_backward(dy, x, *geometry), dy)


@pytest.mark.parametrize("strides", [(1, 1), (2, 3)])
def test_convolution_and_pooling_are_translation_equivariant(strides):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 11, 12, 2)), rng.standard_normal((3, 2, 2, 4))
    assert_translation_equivariant(lambda x: conv2d(x, kernel, None, strides), x, strides)
    assert_translation_equivariant(lambda x: max_pool2d(x, (3, 2), strides), x, strides, rtol=0.0)


def test_each_property_refuses_what_does_not_have_it():
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal((2, 6, 6, 2)), rng.standard_normal((1, 1, 2, 3))
    broken = [
        lambda: assert_adjoint(lambda x: 2 * x, lambda y: 3 * y, x, x),
        lambda: assert_linear(lambda x: x + 1, x, x),
        lambda: assert_translation_equivariant(lambda x: x * np.arange(x.shape[2])[:, None], x),
        lambda: assert_shift_equivariant(lambda x: np.maximum(x, 0), x, -1.0),
        lambda: assert_shift_equivariant(
            lambda x: max_pool2d(np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))), 3, 1), x, -9.0
        ),
        lambda: assert_pointwise_is_matrix_product(lambda x, k: conv2d(x, k[..., ::-1]), x, kernel),
        lambda: assert_mass_conserved(np.ones((1, 2, 2, 1)), np.ones((1, 1, 1, 1))),
        lambda: assert_same_bits(np.add, lambda a, b: (a + b) * (1 + 1e-7), (4,), (4,)),
    ]
    for call in broken:
        with pytest.raises(AssertionError):
            call()
    assert_pointwise_is_matrix_product(conv2d, x, kernel)
