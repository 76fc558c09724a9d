import tracemalloc
from contextlib import contextmanager

import numpy as np
import pytest
from cases import ConvCase, conv_cases, memory_full_of_nan
from hypothesis import given, settings
from hypothesis import strategies as st
from references import naive_conv2d, naive_conv2d_backward

from minicnn.ops import conv, conv_im2col, conv_rows, windows, winograd_im2col, winograd_windows
from minicnn.ops.conv import conv2d, conv2d_backward


def assert_close(actual, expected, tolerance=1e-12):
    scale = max(np.abs(expected).max(initial=0.0), 1.0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


def check_against_loops(case):
    x, kernel, bias = case.arrays()
    y = conv2d(x, kernel, bias, *case.geometry)
    assert_close(y, naive_conv2d(x, kernel, bias, case.strides, case.pads, case.dilation, case.groups))
    dy = np.random.default_rng(case.seed + 1).standard_normal(y.shape)
    actual = conv2d_backward(dy, x, kernel, *case.geometry)
    expected = naive_conv2d_backward(dy, x, kernel, case.strides, case.pads, case.dilation, case.groups)
    for gradient, naive in zip(actual, expected, strict=True):
        assert_close(gradient, naive)


@contextmanager
def algorithm_settings(many, block_bytes=None, few_channels=conv_im2col.FEW_CHANNELS):
    """Decide what the shapes decide otherwise: which of the two ways is taken, and how the work is cut."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "prefers_batch_last", lambda shape: many)
        if block_bytes is not None:
            for module in (windows, conv_im2col):
                patch.setattr(module, "BLOCK_BYTES", block_bytes)
            patch.setattr(conv_im2col, "COL2IM_BYTES", block_bytes)
            patch.setattr(conv_im2col, "MIN_BLOCK_PIXELS", 1)
        patch.setattr(conv_im2col, "FEW_CHANNELS", few_channels)
        yield


@given(conv_cases())
def test_conv2d_and_gradients_equal_loops(case):
    check_against_loops(case)


@pytest.mark.parametrize("many", [False, True])
@given(case=conv_cases(max_stride=4), block_bytes=st.integers(1, 3000), few_channels=st.integers(0, 5))
def test_conv2d_does_not_depend_on_how_the_work_is_done(many, case, block_bytes, few_channels):
    with algorithm_settings(many, block_bytes, few_channels), memory_full_of_nan():
        check_against_loops(case)


@pytest.mark.parametrize("many", [False, True])
@settings(max_examples=4 * settings.default.max_examples)  # for five algorithms, and both gradients of some
@given(
    case=conv_cases(max_stride=2, max_dilation=2, max_groups=2) | conv_cases(1, 1, 1),
    block_bytes=st.integers(1, 3000),
    small_product=st.integers(1, 300),
)
def test_the_algorithms_for_many_channels_equal_loops(many, case, block_bytes, small_product):
    """With the limits of the rule taken away, so that few channels take them, too."""
    with algorithm_settings(many, block_bytes), memory_full_of_nan(), pytest.MonkeyPatch.context() as patch:
        for limit in ("MIN_CHANNELS", "MIN_TERMS", "MIN_PAIRS", "MIN_WORK"):
            patch.setattr(conv, limit, 1)
        for module in (conv_rows, winograd_windows, winograd_im2col):
            patch.setattr(module, "BLOCK_BYTES", block_bytes)
        for module in (conv_rows, winograd_windows):
            patch.setattr(module, "SMALL_PRODUCT", small_product)
        patch.setattr(conv_rows, "MIN_PART", 1)
        patch.setattr(winograd_windows, "TERMS", 4)
        patch.setattr(winograd_im2col, "MIN_BLOCK_PIXELS", 1)
        check_against_loops(case)


@given(case=conv_cases(max_stride=1))
def test_dx_of_conv_im2col_is_the_same_scattered_and_as_a_convolution_of_dy(case):
    x, kernel, _ = case.arrays()
    plan = windows.plan_windows(x, kernel, *case.geometry)
    dy = np.random.default_rng(case.seed + 1).standard_normal(plan.y_shape)
    expected = naive_conv2d_backward(dy, x, kernel, case.strides, case.pads, case.dilation, case.groups)[0]
    with pytest.MonkeyPatch.context() as patch:
        for most, few_channels in ((1 << 30, 0), (0, 0), (0, 1 << 30)):
            patch.setattr(conv_im2col, "MAX_ROTATED_FILTERS", most)
            patch.setattr(conv_im2col, "FEW_CHANNELS", few_channels)
            assert_close(conv_im2col.backward_x(plan, dy, kernel), expected)
    if (turned := plan.input_gradient_plan()) is not None:  # also where there are more filters than channels
        assert_close(conv_im2col.forward(turned, dy, windows.rotated_kernel(plan, kernel), None), expected)


@pytest.mark.parametrize(
    ("strides", "pads", "turned"),
    [
        ((1, 1), ((2, 1), (1, 0)), ((0, 1), (0, 1))),
        ((1, 1), ((3, 0), (0, 0)), None),
        ((1, 1), ((0, 3), (0, 0)), None),
        ((1, 1), ((0, 0), (2, 0)), None),
        ((1, 1), ((0, 0), (0, 2)), None),
        ((1, 2), ((0, 0), (0, 0)), None),
    ],
)
def test_dx_is_a_convolution_without_strides_and_where_no_window_lies_in_padding(strides, pads, turned):
    plan = windows.plan_windows(np.zeros((1, 5, 5, 2)), np.zeros((3, 2, 2, 1)), strides, pads, 1, 1)
    found = plan.input_gradient_plan()
    assert (None if found is None else found.pads) == turned


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.parametrize("strides", [1, 2, 4, 6])
def test_an_infinite_value_reaches_what_sees_it_and_nothing_else(many, dilation, strides):
    x, kernel = np.ones((2, 9, 17, 2)), np.ones((2, 3, 2, 2))
    x[1, 4, 8, 0] = np.inf
    geometry = strides, "same", dilation
    with (
        algorithm_settings(many),
        np.errstate(invalid="ignore"),
    ):  # BLAS fills up with zeros, which are cut off
        y = conv2d(x, kernel, None, *geometry)
        dx, _, _ = conv2d_backward(np.isinf(y).astype(float), x, kernel, *geometry)
        counts = conv2d(np.isinf(x).astype(float), kernel, None, *geometry)
    assert np.isinf(y).tolist() == (counts > 0).tolist()
    assert not np.isnan(y).any()
    assert dx[1, 4, 8, 0] == counts.sum()


def test_columns_beyond_the_last_window_have_no_part_in_dkernel():
    """Nor room for them, where padding moves the others to the right."""
    case = ConvCase((2, 5, 5, 2), (2, 2, 2, 3), (2, 2), ((0, 0), (2, 0)), (1, 1), 1, seed=0)
    with algorithm_settings(many=True):
        check_against_loops(case)


@pytest.mark.parametrize(
    ("n", "channels", "taken"),
    [(7, 1, False), (8, 1, True), (8, 17, True), (8, 18, False), (31, 64, False), (32, 64, True)],
)
def test_the_shapes_decide_how_images_lie(n, channels, taken):
    x, kernel = np.zeros((n, 3, 3, channels)), np.zeros((2, 2, channels, 2))
    y = conv2d(x, kernel)
    dx, _, _ = conv2d_backward(y, x, kernel)
    assert windows.is_batch_last(y) == windows.is_batch_last(dx) == taken


@pytest.mark.parametrize("few_channels", [0, 16])
@pytest.mark.parametrize(("filters", "kernel_size"), [(2, 3), (5, 3), (5, 1)])
def test_dx_of_conv_im2col_lies_as_x_does(filters, kernel_size, few_channels):
    x, kernel = np.ones((2, 6, 5, 4)), np.ones((kernel_size, kernel_size, 4, filters))
    with algorithm_settings(many=False, few_channels=few_channels):
        for strides in (1, 2):
            dy = conv2d(x, kernel, None, strides, "same")
            dx, _, _ = conv2d_backward(dy, x, kernel, strides, "same")
            assert dy.flags.c_contiguous
            assert dx.flags.c_contiguous


@pytest.mark.parametrize("many", [False, True])
@given(case=conv_cases(), few_channels=st.sampled_from([0, 16]))
def test_float32_stays_float32_and_is_close_to_float64(many, case, few_channels):
    with algorithm_settings(many, few_channels=few_channels):
        check_float32(case)


def check_float32(case):
    x, kernel, bias = case.arrays()
    x32, kernel32, bias32 = case.arrays(np.float32)
    y32, y = conv2d(x32, kernel32, bias32, *case.geometry), conv2d(x, kernel, bias, *case.geometry)
    assert y32.dtype == np.float32
    assert_close(y32, y, 1e-5)
    gradients32 = conv2d_backward(y32, x32, kernel32, *case.geometry)
    for gradient32, gradient in zip(gradients32, conv2d_backward(y, x, kernel, *case.geometry), strict=True):
        assert gradient32.dtype == np.float32
        assert_close(gradient32, gradient, 1e-4)


@pytest.mark.parametrize("many", [False, True])
def test_x_decides_the_dtype(many):
    x, kernel = np.ones((1, 3, 3, 1), np.float32), np.ones((2, 2, 1, 1))
    with algorithm_settings(many):
        assert conv2d(x, kernel, np.zeros(1)).dtype == np.float32
        dx, dkernel, dbias = conv2d_backward(np.ones((1, 2, 2, 1)), x, kernel)
    assert dx.dtype == dkernel.dtype == dbias.dtype == np.float32


@pytest.mark.parametrize("many", [False, True])
@given(case=conv_cases(), few_channels=st.sampled_from([0, 16]))
def test_conv2d_takes_any_memory_layout_and_writes_into_nothing(many, case, few_channels):
    with algorithm_settings(many, few_channels=few_channels):
        check_layouts(case)


def check_layouts(case):
    x, kernel, bias = case.arrays()
    y = conv2d(x, kernel, bias, *case.geometry)
    dy = np.random.default_rng(0).standard_normal(y.shape)
    expected = conv2d_backward(dy, x, kernel, *case.geometry)
    arrays = [np.asfortranarray(a) for a in (x, kernel, dy)]
    copies = [a.copy() for a in arrays]
    for a in arrays:
        a.flags.writeable = False
    np.testing.assert_array_equal(conv2d(arrays[0], arrays[1], bias, *case.geometry), y)
    actual = conv2d_backward(arrays[2], arrays[0], arrays[1], *case.geometry)
    for a, b in zip(actual, expected, strict=True):
        np.testing.assert_array_equal(a, b)
    for a, b in zip(arrays, copies, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("left_out", ["need_dx", "need_dkernel", "need_dbias"])
def test_each_gradient_can_be_left_out(left_out):
    rng = np.random.default_rng(0)
    x, kernel, dy = (rng.standard_normal(s) for s in ((2, 5, 5, 2), (3, 3, 2, 4), (2, 3, 3, 4)))
    everything = conv2d_backward(dy, x, kernel)
    results = conv2d_backward(dy, x, kernel, **{left_out: False})
    for name, result, expected in zip(
        ("need_dx", "need_dkernel", "need_dbias"), results, everything, strict=True
    ):
        if name == left_out:
            assert result is None
        else:
            np.testing.assert_array_equal(result, expected)


def test_conv2d_without_bias_and_of_an_empty_batch():
    kernel = np.ones((2, 2, 1, 3))
    np.testing.assert_array_equal(conv2d(np.ones((1, 2, 2, 1)), kernel), np.full((1, 1, 1, 3), 4.0))
    empty = np.zeros((0, 4, 4, 1))
    assert conv2d(empty, kernel, np.ones(3)).shape == (0, 3, 3, 3)
    dx, dkernel, dbias = conv2d_backward(np.zeros((0, 3, 3, 3)), empty, kernel)
    assert dx.shape == empty.shape
    assert not dkernel.any()
    assert not dbias.any()


@pytest.mark.parametrize("n", [31, 64])
def test_windows_are_never_in_memory_as_a_whole(n):
    x, kernel = np.ones((n, 27, 27, 96), np.float32), np.ones((5, 5, 96, 16), np.float32)
    all_windows = n * 23 * 23 * 5 * 5 * 96 * 4
    tracemalloc.start()
    y = conv2d(x, kernel)
    conv2d_backward(y, x, kernel)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < all_windows / 8


@pytest.mark.parametrize(
    ("shape", "kernel_shape", "options", "message"),
    [
        ((1, 4, 4, 1), (5, 5, 1, 1), {}, r"window \(5x5\) does not fit into the padded input \(4x4\)"),
        (
            (1, 4, 4, 1),
            (3, 3, 1, 1),
            {"dilation": 2},
            r"window \(5x5\) does not fit into the padded input \(4x4\)",
        ),
        ((1, 4, 4, 2), (3, 3, 1, 1), {}, r"got \(3, 3, 1, 1\) for 2 channels and groups=1"),
        ((1, 4, 4, 4), (3, 3, 2, 3), {"groups": 2}, "channels and filters divisible by groups"),
        ((1, 4, 4, 1), (3, 3, 1, 1), {"groups": 0}, "`groups` must be at least 1, got 0"),
        ((1, 4, 4, 1), (3, 3, 1), {}, "`kernel` must have shape"),
        ((1, 4, 4, 1), (0, 3, 1, 1), {}, "`kernel` must have shape"),
        ((1, 4, 4, 1), (3, 3, 1, 1), {"strides": 0}, "`strides` must be at least 1"),
        ((1, 4, 4, 1), (3, 3, 1, 1), {"dilation": 0}, "`dilation` must be at least 1"),
        ((1, 4, 4, 1), (3, 3, 1, 1), {"padding": "full"}, "`padding` must be"),
        ((4, 4), (3, 3, 1, 1), {}, "must be images"),
        (
            (1, 4, 4, 1),
            (3, 3, 1, 2),
            {"bias": np.zeros(3)},
            r"per filter, shape \(2,\), got \(3,\)",
        ),
    ],
)
def test_conv2d_refuses_what_does_not_fit(shape, kernel_shape, options, message):
    with pytest.raises(ValueError, match=message):
        conv2d(np.zeros(shape), np.zeros(kernel_shape), **options)


def test_conv2d_backward_refuses_another_dy():
    with pytest.raises(
        ValueError, match=r"dy must have the output's shape \(1, 2, 2, 1\), got \(1, 3, 3, 1\)"
    ):
        conv2d_backward(np.zeros((1, 3, 3, 1)), np.zeros((1, 3, 3, 1)), np.zeros((2, 2, 1, 1)))


def flat_images(n, channels, rng, dtype):
    """Images whose pixels are all the same, so that all their windows are equal."""
    return (
        np.repeat(rng.standard_normal((n, 1, 1, channels)), 144, axis=1)
        .reshape(n, 12, 12, channels)
        .astype(dtype)
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    n=st.integers(8, 70),
    channels=st.sampled_from([1, 3, 6, 8, 16, 24, 32]),
    filters=st.sampled_from([1, 6, 8, 17, 32, 64]),
    kernel_size=st.integers(1, 5),
    strides=st.integers(1, 2),
    dilation=st.integers(1, 2),
    seed=st.integers(0, 2**16),
)
def test_equal_windows_give_equal_bits_batch_last(
    n, channels, filters, kernel_size, strides, dilation, seed, dtype
):
    """Max pooling then sees exact ties. Each window is the same column of a product of the same shape."""
    rng = np.random.default_rng(seed)
    x = flat_images(n, channels, rng, dtype)
    kernel = rng.standard_normal((kernel_size, kernel_size, channels, filters)).astype(dtype)
    bias = rng.standard_normal(filters).astype(dtype)
    with algorithm_settings(many=True):
        y = conv2d(x, kernel, bias, strides, "valid", dilation)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))


@given(
    n=st.integers(8, 40),
    channels=st.sampled_from([3, 8, 24, 32]),
    filters=st.sampled_from([6, 8, 64]),
    kernel_size=st.integers(1, 5),
    seed=st.integers(0, 2**16),
)
def test_zeros_of_padding_and_of_the_image_give_equal_bits_batch_last(
    n, channels, filters, kernel_size, seed
):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 7, 6, channels)).astype(np.float32)
    kernel = rng.standard_normal((kernel_size, kernel_size, channels, filters)).astype(np.float32)
    padded = np.pad(x, ((0, 0), (2, 1), (1, 2), (0, 0)))
    with algorithm_settings(many=True):
        np.testing.assert_array_equal(conv2d(x, kernel, None, 1, ((2, 1), (1, 2))), conv2d(padded, kernel))


@pytest.mark.parametrize("many", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(
    n=st.integers(1, 40),
    channels=st.sampled_from([1, 3, 6, 8, 16, 32]),
    filters=st.sampled_from([1, 6, 17, 32]),
    kernel_size=st.integers(1, 5),
    padding=st.sampled_from(["valid", "same"]),
    seed=st.integers(0, 2**16),
)
def test_a_window_of_zeros_gives_exactly_the_bias(
    many, dtype, n, channels, filters, kernel_size, padding, seed
):
    """ReLU then passes no gradient where its input would be zero but for rounding."""
    rng = np.random.default_rng(seed)
    x = np.zeros((n, 9, 8, channels), dtype)
    x[:, 7:] = rng.standard_normal((n, 2, 8, channels))
    kernel = rng.standard_normal((kernel_size, kernel_size, channels, filters)).astype(dtype)
    bias = rng.standard_normal(filters).astype(dtype)
    with algorithm_settings(many):
        y = conv2d(x, kernel, bias, 1, padding)
    zeros = y[:, : 8 - kernel_size]
    np.testing.assert_array_equal(zeros, np.broadcast_to(bias, zeros.shape))


@given(n=st.integers(1, 9), channels=st.sampled_from([1, 6, 32]), filters=st.sampled_from([1, 6, 64]))
def test_equal_windows_are_equal_up_to_rounding_batch_first(n, channels, filters):
    """All windows are rows of one matrix, and OpenBLAS multiplies its last rows by other instructions."""
    rng = np.random.default_rng(n)
    x = flat_images(n, channels, rng, np.float32)
    kernel = rng.standard_normal((3, 3, channels, filters)).astype(np.float32)
    with algorithm_settings(many=False):
        y = conv2d(x, kernel)
    assert_close(y, np.broadcast_to(y[:, :1, :1], y.shape), 1e-6)
