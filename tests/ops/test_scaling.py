import numpy as np
import pytest

from minicnn.ops.scaling import to_float
from minicnn.ops.windows import is_batch_last


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_uint8_images_are_scaled_in_the_dtype_that_is_asked_for(dtype):
    scaled = to_float(np.arange(256, dtype=np.uint8).reshape(4, 64), dtype)
    assert scaled.dtype == dtype
    expected = np.array([i / 255 for i in range(256)], dtype).reshape(4, 64)
    np.testing.assert_array_equal(scaled, expected)


@pytest.mark.parametrize("shape", [(1, 3, 4, 2), (64, 3, 4, 2), (5, 2, 2, 40)])
def test_batches_of_images_of_any_size_are_scaled_and_stay_in_their_order(shape):
    images = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    before = images.copy()
    expected = [value / 255 for value in before.ravel().tolist()]
    np.testing.assert_array_equal(to_float(images, np.float64), np.reshape(expected, shape))
    np.testing.assert_array_equal(images, before)


@pytest.mark.parametrize(("n", "taken"), [(2, False), (64, True)])
def test_pictures_come_out_as_a_convolution_wants_them_in_memory(n, taken):
    assert is_batch_last(to_float(np.zeros((n, 3, 4, 2), np.uint8))) == taken


@pytest.mark.parametrize("given", [np.int64, np.int8, bool, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_anything_else_is_only_cast(given, dtype):
    x = np.array([[0, 1], [7, 100]], given)
    result = to_float(x, dtype)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result, x)
    assert (result is x) == (given == dtype)  # and not even copied where nothing has to be done


def test_lists_are_taken_as_arrays_and_float32_is_the_default():
    assert to_float([[0, 51], [102, 255]]).tolist() == [[0, 51], [102, 255]]
    assert to_float(np.array([51, 255], np.uint8)).tolist() == [np.float32(0.2), 1]
    assert to_float([1]).dtype == np.float32
