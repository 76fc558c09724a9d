import platform
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn.ops.memory import (
    SMALLEST,
    aligned_contiguous,
    aligned_empty,
    aligned_empty_like,
    aligned_zeros,
    retain_freed_memory,
)

# A large array, made and freed again and again: how often must the system give pages for it?
FAULTS = """
import resource
import numpy as np
{}

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    [np.ones(1 << 20, np.uint8) for _ in range(4)]

use()
before = faults()
for _ in range(20):
    use()
print((faults() - before) / 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do as they always do")
def test_freed_memory_is_kept():
    def measure(line):
        done = subprocess.run([sys.executable, "-c", FAULTS.format(line)], capture_output=True, check=True)
        return float(done.stdout)

    retain_freed_memory()  # once more, which does no harm
    assert measure("") > 100
    assert measure("import minicnn") < 10


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("size", [0, 1, 15, 100, 1000])
def test_aligned_zeros_begin_at_a_multiple_of_64_bytes(size, dtype):
    kept = []  # so that each begins elsewhere
    for _ in range(20):
        zeros = aligned_zeros(size, dtype)
        kept.append(zeros)
        assert (zeros.shape, zeros.dtype) == ((size,), dtype)
        assert size == 0 or zeros.ctypes.data % 64 == 0
        assert not zeros.any()


@given(
    st.permutations(range(4)), st.sampled_from([1, 2, 3]), st.sampled_from([np.float32, np.float64, np.bool_])
)
def test_aligned_arrays_have_numpys_layout_and_begin_at_a_multiple_of_64_bytes(order, step, dtype):
    # In any order of the axes, contiguous or with gaps, one of length 1, and of both sizes.
    for shape in ((1, 2, 3, 4), (1, 60, 70, 130)):
        array = np.zeros(shape, np.float32).transpose(order)[:, ::step]
        like, numpys = aligned_empty_like(array, dtype), np.empty_like(array, dtype)
        copy, empty = aligned_contiguous(array), aligned_empty(array.shape, dtype)
        assert (like.shape, like.strides, like.dtype) == (numpys.shape, numpys.strides, dtype)
        assert copy.flags.c_contiguous
        assert np.array_equal(copy, array)
        assert (copy is array) == array.flags.c_contiguous
        assert empty.flags.c_contiguous
        assert (empty.shape, empty.dtype) == (array.shape, dtype)
        for result in (like, empty) if copy is array else (like, empty, copy):
            assert result.nbytes < SMALLEST or result.ctypes.data % 64 == 0
            assert result.flags.writeable
            assert not np.may_share_memory(result, array)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are those of Linux")
def test_a_limit_of_memory_is_no_error_of_the_import():
    limit = "import resource; resource.setrlimit(resource.RLIMIT_AS, (1 << 24, 1 << 24))"
    program = f"from minicnn.ops.memory import retain_freed_memory\n{limit}\nretain_freed_memory()"
    subprocess.run([sys.executable, "-c", program], check=True)
