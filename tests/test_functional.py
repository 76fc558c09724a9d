import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from references import naive_conv2d, naive_conv2d_backward, naive_pool2d, naive_pool2d_backward

from minicnn import functional
from minicnn.functional import conv_backward, conv_forward, pool_backward, pool_forward, same_padding


def identity(Z):
    return Z


@st.composite
def geometries(draw, same=True):
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    padding = draw(st.sampled_from(["same", "valid"] if same else ["valid"]))
    least = (1, 1) if padding == "same" else kernel
    size = tuple(draw(st.integers(k, k + 5)) for k in least)
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return (
        (draw(st.integers(1, 2)), *size, draw(st.integers(1, 2))),
        kernel,
        stride,
        padding,
        draw(st.integers(0, 999)),
    )


def textbook_pads(padding, size, kernel, stride):
    """The design's words, one axis at a time: total (n-1)*s + k - n, an odd one before."""
    if padding == "valid":
        return (0, 0), (0, 0)
    pads = []
    for n, k, s in zip(size, kernel, stride, strict=True):
        total = (n - 1) * s + k - n
        pads.append((total // 2 + total % 2, total // 2))
    return tuple(pads)


@given(case=geometries())
def test_conv_forward_and_backward_equal_loops_over_the_textbook_s_padding(case):
    shape, kernel, stride, padding, seed = case
    rng = np.random.default_rng(seed)
    A_prev, W = rng.standard_normal(shape), rng.standard_normal((*kernel, shape[3], 3))
    b = rng.standard_normal((1, 1, 1, 3))
    geometry = stride, textbook_pads(padding, shape[1:3], kernel, stride), (1, 1), 1
    expected = naive_conv2d(A_prev, W, b.ravel(), *geometry)
    A = conv_forward(A_prev, W, b, np.tanh, padding, stride)
    np.testing.assert_allclose(A, np.tanh(expected), rtol=1e-12, atol=1e-12)
    if padding == "same":
        assert A.shape[1:3] == shape[1:3]
    dZ = rng.standard_normal(expected.shape)
    gradients = conv_backward(dZ, A_prev, W, b, padding, stride)
    dA_prev, dW, db = naive_conv2d_backward(dZ, A_prev, W, *geometry)
    for got, wanted in zip(gradients, (dA_prev, dW, db.reshape(1, 1, 1, 3)), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-11, atol=1e-11)


@given(case=geometries(same=False), mode=st.sampled_from(["max", "avg"]), tied=st.booleans())
def test_pool_forward_and_backward_equal_loops(case, mode, tied):
    shape, kernel, stride, _, seed = case
    rng = np.random.default_rng(seed)
    A_prev = rng.integers(0, 2, shape).astype(float) if tied else rng.standard_normal(shape)
    geometry = kernel, stride, ((0, 0), (0, 0)), mode
    A = pool_forward(A_prev, kernel, stride, mode)
    np.testing.assert_allclose(A, naive_pool2d(A_prev, *geometry), rtol=1e-12, atol=1e-12)
    dA = rng.standard_normal(A.shape)
    expected = naive_pool2d_backward(dA, A_prev, *geometry, ties="all")
    np.testing.assert_allclose(
        pool_backward(dA, A_prev, kernel, stride, mode), expected, rtol=1e-12, atol=1e-12
    )


def test_conv_forward_by_hand_puts_the_odd_row_and_column_before():
    A_prev = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    W = np.array([[1.0, 10.0], [100.0, 1000.0]]).reshape(2, 2, 1, 1)
    b = np.full((1, 1, 1, 1), 0.5)
    # The window's last row and column lie on the pixel itself, the others before it.
    expected = [[1000.5, 2100.5], [3010.5, 4321.5]]
    np.testing.assert_array_equal(conv_forward(A_prev, W, b, identity)[0, :, :, 0], expected)


def test_conv_forward_same_with_stride_by_hand():
    A_prev = np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3, 1)
    W = np.ones((1, 1, 1, 1))
    # total padding (3-1)*2 + 1 - 3 = 2: one column of zeros on each side, and every second is seen
    A = conv_forward(A_prev, W, np.zeros((1, 1, 1, 1)), identity, "same", (1, 2))
    np.testing.assert_array_equal(A.ravel(), [0.0, 2.0, 0.0])


def test_pool_backward_gives_every_tied_maximum_the_gradient():
    A_prev = np.array([[2.0, 2.0], [1.0, 2.0]]).reshape(1, 2, 2, 1)
    dx = pool_backward(np.full((1, 1, 1, 1), 5.0), A_prev, (2, 2))
    np.testing.assert_array_equal(dx[0, :, :, 0], [[5.0, 5.0], [0.0, 5.0]])


def test_same_padding_by_hand():
    assert same_padding((28, 28), (3, 4), (1, 2)) == ((1, 1), (15, 15))
    assert same_padding((5, 4), (2, 3), (1, 2)) == ((1, 0), (3, 2))


CALLS = {
    "conv_forward": lambda A, W, b, dy: conv_forward(A, W, b, identity, stride=(2, 1)),
    "conv_backward": lambda A, W, b, dy: conv_backward(dy, A, W, b, stride=(2, 1)),
    "pool_forward": lambda A, W, b, dy: pool_forward(A, (2, 2), (2, 1)),
    "pool_backward": lambda A, W, b, dy: pool_backward(dy[:, :2, :4], A, (2, 2), (2, 1)),
}


@pytest.mark.parametrize("name", CALLS)
def test_any_layout_and_kind_of_numbers_works_and_nothing_is_written(name):
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-3, 4, s) for s in ((2, 5, 5, 2), (3, 2, 2, 2), (1, 1, 1, 2), (2, 5, 5, 2))]
    flat = lambda result: result if isinstance(result, tuple) else (result,)  # noqa: E731
    expected = flat(CALLS[name](*(a.astype(np.float64) for a in arrays)))
    kinds = {
        "integers": arrays,
        "small integers": [a.astype(np.int8) for a in arrays],
        "fortran": [np.asfortranarray(a.astype(float)) for a in arrays],
        "strided": [np.repeat(a.astype(float), 2, axis=3)[..., ::2] for a in arrays],
        "float32": [a.astype(np.float32) for a in arrays],
    }
    for kind, given_arrays in kinds.items():
        for array in given_arrays:
            array.flags.writeable = False
        for got, wanted in zip(flat(CALLS[name](*given_arrays)), expected, strict=True):
            assert got.dtype == (np.float32 if kind == "float32" else np.float64), kind
            np.testing.assert_allclose(got, wanted, rtol=1e-6)
    mixed = flat(CALLS[name](*(a.astype(np.float32) for a in arrays[:-1]), arrays[-1].astype(float)))
    assert mixed[0].dtype == (np.float64 if "backward" in name else np.float32)


X, K, B = np.zeros((1, 4, 4, 2)), np.zeros((3, 3, 2, 5)), np.zeros((1, 1, 1, 5))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: conv_forward(X[0], K, B, identity), ValueError, "`A_prev` must have shape"),
        (lambda: conv_forward(X, K[0], B, identity), ValueError, "`W` must have shape"),
        (lambda: conv_forward(X, K[:, :, :1], B, identity), ValueError, "c_prev = 2"),
        (lambda: conv_forward(X, K[:0], B, identity), ValueError, "`W` must have shape"),
        (
            lambda: conv_forward(X, K, B[0], identity),
            ValueError,
            "`b` must have shape (1, 1, 1, 5), got (1, 1, 5)",
        ),
        (lambda: conv_forward(X, K, B, None), TypeError, "`activation` must be a function"),
        (lambda: conv_forward(X, K, B, identity, "full"), ValueError, "`padding` must be 'same' or 'valid'"),
        (lambda: conv_forward(X, K, B, identity, ((1, 1), (1, 1))), ValueError, "`padding` must be"),
        (lambda: conv_forward(X, K, B, identity, stride=(0, 1)), ValueError, "`stride` must be at least 1"),
        (lambda: conv_forward(X, K, B, identity, stride=(1.5, 1)), TypeError, "`stride` must be an integer"),
        (
            lambda: conv_forward(X[:, :2], K, B, identity, "valid"),
            ValueError,
            "does not fit into the padded input",
        ),
        (
            lambda: conv_forward(X.astype(complex), K, B, identity),
            TypeError,
            "`A_prev` must be an array of real",
        ),
        (lambda: conv_forward("text", K, B, identity), TypeError, "`A_prev` must be an array of real"),
        (
            lambda: conv_backward(X, X, K, B),
            ValueError,
            "`dZ` must have shape (1, 4, 4, 5), got (1, 4, 4, 2)",
        ),
        (lambda: conv_backward(X, X, K, B, "valid"), ValueError, "`dZ` must have shape (1, 2, 2, 5)"),
        (lambda: pool_forward(X[0], (2, 2)), ValueError, "`A_prev` must have shape"),
        (lambda: pool_forward(X, (2, 2), mode="sum"), ValueError, "`mode` must be 'max' or 'avg', got 'sum'"),
        (lambda: pool_forward(X, (0, 2)), ValueError, "`kernel_shape` must be at least 1"),
        (lambda: pool_forward(X, (2, 2), (1, -1)), ValueError, "`stride` must be at least 1"),
        (lambda: pool_forward(X, (5, 2)), ValueError, "does not fit into the padded input"),
        (lambda: pool_backward(X, X, (2, 2)), ValueError, "`dA` must have shape (1, 3, 3, 2)"),
    ],
)
def test_wrong_arguments_end_in_a_sentence(call, error, message):
    with pytest.raises(error) as caught:
        call()
    assert message in str(caught.value)


def test_lists_are_taken_as_arrays():
    assert pool_forward([[[[1], [4]], [[3], [2]]]], (2, 2)).tolist() == [[[[4.0]]]]


def test_an_empty_batch_stays_empty():
    assert conv_forward(X[:0], K, B, identity).shape == (0, 4, 4, 5)
    assert pool_forward(X[:0], (2, 2), mode="avg").shape == (0, 3, 3, 2)
    _, dW, db = conv_backward(np.zeros((0, 4, 4, 5)), X[:0], K, B)
    np.testing.assert_array_equal(dW, np.zeros(K.shape))
    np.testing.assert_array_equal(db, np.zeros(B.shape))


def test_each_docstring_states_the_conventions():
    assert "keeps height and width for any stride" in functional.conv_forward.__doc__
    assert "every one of them gets the whole gradient" in functional.pool_backward.__doc__
