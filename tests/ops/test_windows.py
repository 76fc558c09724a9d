import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minicnn.ops.windows import batch_first, batch_last, is_batch_last, pad


@given(pads=st.tuples(*[st.tuples(st.integers(0, 3), st.integers(0, 3))] * 2), seed=st.integers(0, 99))
def test_pad_equals_numpys(pads, seed):
    x = np.random.default_rng(seed).standard_normal((2, 3, 4, 2))
    expected = np.pad(x, ((0, 0), *pads, (0, 0)), constant_values=-7.0)
    np.testing.assert_array_equal(pad(x, pads, -7.0), expected)
    last = batch_first(batch_last(x))
    np.testing.assert_array_equal(pad(last, pads, -7.0), expected)
    assert is_batch_last(pad(last, pads))


def test_batch_last_is_free_for_what_already_lies_so():
    x = np.arange(24.0).reshape(2, 3, 4, 1)
    converted = batch_last(x)
    assert not np.shares_memory(converted, x)
    again = batch_first(converted)
    np.testing.assert_array_equal(again, x)
    assert np.shares_memory(batch_last(again), converted)
