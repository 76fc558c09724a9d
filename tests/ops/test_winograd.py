import numpy as np
import pytest
from cases import ConvCase
from hypothesis import given
from hypothesis import strategies as st
from references import cellwise_conv2d_backward, naive_conv2d_backward

from minicnn.ops import conv, conv2d, conv2d_backward, winograd, winograd_im2col, winograd_windows
from minicnn.ops.windows import plan_windows

WAYS = [winograd_windows, winograd_im2col]


def test_the_matrices_of_f_2_3_are_the_published_ones():
    """Lavin and Gray 2016, section 4.1: the same but for two signs, which cancel."""
    bt = np.array([[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]])
    g = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])
    a = np.array([[1, 0], [1, 1], [1, -1], [0, -1]])
    per_point = "pl,pi,pj->plij"
    found = np.einsum(per_point, *(winograd.transforms(2, 3, "float64")[k] for k in (1, 2, 0)))
    np.testing.assert_array_equal(found, np.einsum(per_point, bt, g, a))


@pytest.mark.parametrize("m", [1, 2, 3, 4])
@pytest.mark.parametrize("r", [1, 2, 3, 4, 5])
def test_the_sum_over_points_pairs_each_pixel_with_its_cell_and_output(m, r):
    a, b, g = winograd.transforms(m, r, "float64")
    pixel, cell, output = np.ogrid[: m + r - 1, :r, :m]
    found = np.einsum("pl,pi,pj->lij", b, g, a)
    np.testing.assert_allclose(found, (pixel == cell + output).astype(float), rtol=0, atol=1e-13)


@st.composite
def winograd_cases(draw):
    """Any height, width and padding for which dx is a convolution; kernels of three to five rows."""
    kh, kw = draw(st.integers(3, 5)), draw(st.integers(1, 5))
    pads = tuple((draw(st.integers(0, k - 1)), draw(st.integers(0, k - 1))) for k in (kh, kw))
    sides = [max(1, k - sum(p)) + draw(st.integers(0, 9)) for k, p in zip((kh, kw), pads, strict=True)]
    c, f = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    shape = (draw(st.integers(1, 3)), *sides, c)
    return ConvCase(shape, (kh, kw, c, f), (1, 1), pads, (1, 1), 1, draw(st.integers(0, 2**16)))


@pytest.mark.parametrize("way", WAYS)
@given(case=winograd_cases())
def test_gradients_equal_loops(way, case):
    x, kernel, _ = case.arrays()
    plan = plan_windows(x, kernel, *case.geometry)
    dy = np.random.default_rng(case.seed + 1).standard_normal(plan.y_shape)
    dx, dkernel, _ = naive_conv2d_backward(dy, x, kernel, case.strides, case.pads, case.dilation, case.groups)
    np.testing.assert_allclose(way.backward_x(plan, dy, kernel), dx, rtol=0, atol=1e-10)
    np.testing.assert_allclose(way.backward_kernel(plan, dy, x), dkernel, rtol=0, atol=1e-10)


def test_the_fast_reference_equals_loops():
    case = ConvCase((2, 6, 7, 2), (3, 2, 2, 3), (2, 1), ((1, 0), (0, 2)), (1, 1), 1, seed=0)
    x, kernel, _ = case.arrays()
    dy = np.random.default_rng(1).standard_normal(plan_windows(x, kernel, *case.geometry).y_shape)
    expected = naive_conv2d_backward(dy, x, kernel, case.strides, case.pads, case.dilation, case.groups)
    for found, naive in zip(
        cellwise_conv2d_backward(dy, x, kernel, case.strides, case.pads), expected, strict=False
    ):
        np.testing.assert_allclose(found, naive, rtol=0, atol=1e-12)


# Shapes on both sides of each border: x, kernel, padding, strides; modules of forward, dx and dkernel.
ROWS, WINDOWS, WINOGRAD = "conv_rows", "conv_windows", "winograd_windows"
IM2COL, FEW = "conv_im2col", "winograd_im2col"
BORDERS = [
    # rows of the kernel
    ((16, 8, 8, 32), (3, 3, 32, 32), "same", 1, (ROWS, WINOGRAD, WINOGRAD)),
    ((16, 8, 8, 32), (2, 3, 32, 32), "same", 1, (ROWS, ROWS, WINDOWS)),
    ((16, 8, 8, 32), (1, 3, 32, 32), "same", 1, (WINDOWS, WINDOWS, WINDOWS)),
    ((16, 8, 8, 32), (5, 2, 32, 32), "same", 1, (ROWS, WINOGRAD, WINOGRAD)),
    ((16, 8, 8, 32), (6, 2, 32, 32), "same", 1, (ROWS, ROWS, WINDOWS)),
    # channels, and filters
    ((16, 16, 16, 8), (3, 3, 8, 32), "same", 1, (WINDOWS, WINOGRAD, WINOGRAD)),
    ((16, 16, 16, 7), (3, 3, 7, 37), "same", 1, (WINDOWS, WINDOWS, WINDOWS)),
    ((16, 16, 16, 32), (3, 3, 32, 8), "same", 1, (ROWS, WINOGRAD, WINOGRAD)),
    ((16, 16, 16, 37), (3, 3, 37, 7), "same", 1, (IM2COL, IM2COL, IM2COL)),
    ((24, 16, 16, 37), (3, 3, 37, 7), "same", 1, (WINDOWS, WINDOWS, WINDOWS)),
    ((16, 16, 16, 15), (3, 3, 15, 17), "same", 1, (WINDOWS, WINDOWS, WINDOWS)),
    ((16, 16, 16, 16), (3, 3, 16, 16), "same", 1, (WINDOWS, WINOGRAD, WINOGRAD)),
    # columns of the kernel times channels
    ((16, 8, 8, 16), (3, 4, 16, 8), "same", 2, (ROWS, WINDOWS, WINDOWS)),
    ((16, 8, 8, 16), (3, 3, 16, 8), "same", 2, (WINDOWS, WINDOWS, WINDOWS)),
    # pixels and images
    ((16, 8, 8, 16), (3, 3, 16, 16), "same", 1, (WINDOWS, WINOGRAD, WINOGRAD)),
    ((15, 8, 8, 16), (3, 3, 16, 16), "same", 1, (WINDOWS, WINDOWS, WINDOWS)),
    # rows of the image: five rows need two tiles of six products, not fewer than a fifth below fifteen
    ((32, 6, 8, 32), (3, 3, 32, 32), "same", 1, (ROWS, WINOGRAD, WINOGRAD)),
    ((32, 5, 8, 32), (3, 3, 32, 32), "same", 1, (ROWS, ROWS, WINDOWS)),
    ((32, 4, 8, 32), (3, 3, 32, 32), "same", 1, (ROWS, WINOGRAD, WINOGRAD)),
    ((64, 5, 5, 16), (5, 5, 16, 120), "valid", 1, (ROWS, ROWS, WINDOWS)),
    # strides, and padding beyond the kernel
    ((16, 8, 8, 32), (3, 3, 32, 32), "same", (1, 2), (ROWS, WINDOWS, WINDOWS)),
    ((16, 8, 8, 32), (3, 3, 32, 32), ((2, 2), (2, 2)), 1, (ROWS, WINOGRAD, WINOGRAD)),
    ((16, 8, 8, 32), (3, 3, 32, 32), ((0, 3), (0, 0)), 1, (ROWS, WINDOWS, WINDOWS)),
    # images: few are batch-first
    ((16, 14, 14, 32), (3, 3, 32, 32), "same", 1, (ROWS, WINOGRAD, WINOGRAD)),
    ((15, 14, 14, 32), (3, 3, 32, 32), "same", 1, (IM2COL, FEW, FEW)),
    ((2, 14, 14, 32), (3, 3, 32, 32), "same", 1, (IM2COL, FEW, FEW)),
    ((1, 14, 14, 32), (3, 3, 32, 32), "same", 1, (IM2COL, IM2COL, IM2COL)),
    # pixels of all images: at least as many as channels and filters
    ((5, 7, 7, 250), (3, 3, 250, 16), "same", 1, (IM2COL, IM2COL, IM2COL)),
    ((5, 7, 7, 16), (3, 3, 16, 246), "same", 1, (IM2COL, IM2COL, IM2COL)),
    ((5, 7, 7, 245), (3, 3, 245, 16), "same", 1, (IM2COL, FEW, FEW)),
    # LeNet-5, which gains nothing
    ((64, 28, 28, 1), (5, 5, 1, 6), "same", 1, (WINDOWS, WINDOWS, WINDOWS)),
    ((64, 14, 14, 6), (5, 5, 6, 16), "valid", 1, (WINDOWS, WINDOWS, WINDOWS)),
]


@pytest.mark.parametrize(("shape", "kernel_shape", "padding", "strides", "modules"), BORDERS)
def test_the_shapes_decide_which_way_is_taken_and_each_is_right(
    shape, kernel_shape, padding, strides, modules
):
    rng = np.random.default_rng(0)
    x, kernel = rng.standard_normal(shape), rng.standard_normal(kernel_shape)
    plan = plan_windows(x, kernel, strides, padding, 1, 1)
    algorithm = conv._select_algorithm(plan)
    found = [way.__module__.rpartition(".")[2] for way in algorithm[:3]]
    assert tuple(found) == modules
    dy = rng.standard_normal(plan.y_shape)
    dx, dkernel, _ = conv2d_backward(dy, x, kernel, strides, padding)
    expected_dx, expected_dkernel = cellwise_conv2d_backward(dy, x, kernel, plan.strides, plan.pads)
    np.testing.assert_allclose(dx, expected_dx, rtol=0, atol=1e-9)
    np.testing.assert_allclose(dkernel, expected_dkernel, rtol=0, atol=1e-9)
    # The forward: <y, dy> is <kernel, dkernel>.
    y = conv2d(x, kernel, None, strides, padding)
    np.testing.assert_allclose(np.vdot(y, dy), np.vdot(kernel, expected_dkernel), rtol=1e-9)


@pytest.mark.parametrize("positive", [False, True])
@pytest.mark.parametrize(
    ("shape", "kernel_shape"),
    [
        ((32, 32, 32, 32), (3, 3, 32, 32)),
        ((32, 16, 16, 64), (3, 3, 64, 64)),
        pytest.param((8, 28, 28, 128), (3, 3, 128, 128), marks=pytest.mark.ci),
        ((32, 16, 16, 32), (5, 5, 32, 32)),
        pytest.param((8, 14, 14, 96), (5, 5, 96, 256), marks=pytest.mark.ci),
    ],
)
def test_float32_errors_are_below_one_millionth_of_the_largest(shape, kernel_shape, positive):
    rng = np.random.default_rng(0)
    x, kernel = (rng.standard_normal(s).astype(np.float32) for s in (shape, kernel_shape))
    x = np.maximum(x, 0) if positive else x
    y = conv2d(x, kernel, padding="same")
    dy = rng.standard_normal(y.shape).astype(np.float32)
    dx, dkernel, _ = conv2d_backward(dy, x, kernel, padding="same")
    x, kernel, dy = (array.astype(np.float64) for array in (x, kernel, dy))
    pads = plan_windows(x, kernel, 1, "same", 1, 1).pads
    expected = cellwise_conv2d_backward(dy, x, kernel, (1, 1), pads)
    for found, exact in ((y, conv2d(x, kernel, padding="same")), *zip((dx, dkernel), expected, strict=True)):
        assert found.dtype == np.float32
        assert np.sqrt(np.mean((found - exact) ** 2)) <= 1e-6 * np.abs(exact).max()


@pytest.mark.parametrize(("row", "reached"), [(6, {4, 5, 6, 7}), (7, {4, 5, 6, 7, 8, 9, 10, 11})])
@pytest.mark.parametrize("n", [8, 2])
def test_a_nan_reaches_its_tiles_of_dx_and_no_other_image(n, row, reached):
    """The tile of rows 4 to 7 of dx is computed from rows 3 to 8 of dy, the next one from rows 7 to 12."""
    x, kernel = np.ones((n, 16, 16, 16)), np.ones((3, 3, 16, 64))
    dy = np.ones((n, 16, 16, 64))
    dy[1, row, 9, 3] = np.nan
    assert conv._suits_winograd(plan_windows(x, kernel, 1, "same", 1, 1))
    dx, _, _ = conv2d_backward(dy, x, kernel, padding="same")
    images, rows, columns, _ = np.nonzero(np.isnan(dx))
    assert (set(images), set(rows), set(columns)) == ({1}, reached, {8, 9, 10})
