import gzip
import hashlib
import os
import struct
import tracemalloc
import zlib
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from references import idx_content

from minicnn.datasets import read_idx, write_idx
from minicnn.errors import FileFormatError

MIB = 1 << 20
MANY = 10 * settings.default.max_examples  # mutations are cheap


def header(code, *dims):
    return struct.pack(f">BBBB{len(dims)}I", 0, 0, code, len(dims), *dims)


@contextmanager
def memory_at_most(limit):
    tracemalloc.start()
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak <= limit


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("idx")


def put(folder, content):
    path = folder / "file"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("code", "data", "dtype", "values"),
    [
        (0x08, b"\x00\x01\x7f\xff", "uint8", [0, 1, 127, 255]),
        (0x09, b"\x00\x01\x7f\xff", "int8", [0, 1, 127, -1]),
        (0x0B, b"\x01\x02\xff\xfe", "int16", [258, -2]),
        (0x0C, b"\x00\x00\x01\x00\xff\xff\xff\xff", "int32", [256, -1]),
        (0x0D, b"\x3f\x80\x00\x00\xc0\x20\x00\x00", "float32", [1.0, -2.5]),
        (0x0E, b"\x3f\xf0" + bytes(6) + b"\xff\xf0" + bytes(6), "float64", [1.0, -np.inf]),
    ],
)
def test_read_idx_reads_every_dtype(folder, zipped, code, data, dtype, values):
    content = header(code, len(values)) + data
    array = read_idx(put(folder, gzip.compress(content) if zipped else content))
    assert array.dtype == np.dtype(dtype)
    assert array.dtype.isnative
    assert array.tolist() == values
    assert array.flags.writeable
    assert array.flags.c_contiguous


def test_read_idx_keeps_every_bit_of_a_nan(folder):
    array = read_idx(put(folder, header(0x0D, 2) + b"\x7f\xc0\x00\x01\xff\x80\x00\x07"))
    assert array.view(np.uint32).tolist() == [0x7FC00001, 0xFF800007]


@pytest.mark.parametrize("shape", [(0,), (0, 28, 28), (3, 0, 5), (1,) * 64])
def test_read_idx_reads_unusual_shapes(folder, shape):
    assert read_idx(put(folder, header(0x08, *shape) + bytes(int(np.prod(shape))))).shape == shape


def test_read_idx_reads_gzip_in_several_members(folder):
    content = header(0x08, 2, 300_000) + os.urandom(600_000)
    array = read_idx(
        put(folder, b"".join(gzip.compress(content[i : i + 250_000]) for i in range(0, 600_012, 250_000)))
    )
    assert array.tobytes() == content[12:]


HEAD = header(0x08, 2, 3)
WHOLE = gzip.compress(HEAD + b"abcdef", mtime=0)
BROKEN = {
    "empty": (b"", "its first bytes must be"),
    "short magic": (b"\0\0\x08", "its first bytes must be"),
    "another format": (b"\x89PNG\r\n\x1a\n" + bytes(100), "its first bytes must be"),
    "unknown type": (header(0x0A, 1) + b"a", "its first bytes must be"),
    "no dimensions": (header(0x08) + b"a", "its first bytes must be"),
    "too many dimensions": (header(0x08, *[1] * 65) + b"a", "its first bytes must be"),
    "dimensions cut off": (HEAD[:-1], "the file ends within the header, which declares 2 dimensions"),
    "data cut off": (HEAD + b"abcde", "declares 6 bytes of data, shape (2, 3), more than"),
    "data behind": (HEAD + b"abcdefg", "declares 6 bytes of data, shape (2, 3), the file contains 7"),
    "huge": (header(0x08, 0xFFFFFFFF, 0xFFFFFFFF) + b"a", "more than the file can contain"),
    "zero times huge": (header(0x08, 0, 0xFFFFFFFF, 0xFFFFFFFF), "unreasonably large"),
    "huge times zero": (header(0x0E, 0xFFFFFFFF, 0), "unreasonably large"),
    "gzip: cut off": (WHOLE[:-9], "end-of-stream"),
    "gzip: checksum cut off": (WHOLE[:-1], "end-of-stream"),
    "gzip: header only": (WHOLE[:2], "end-of-stream"),
    "gzip: wrong checksum": (WHOLE[:-8] + b"\0\0\0\0" + WHOLE[-4:], "CRC"),
    "gzip: wrong length": (WHOLE[:-4] + b"\7\0\0\0", "length"),
    "gzip: rubbish behind": (WHOLE + b"rubbish", "gzip"),
    "gzip: another member behind": (WHOLE + WHOLE, "contains more"),
    "gzip: not deflate": (WHOLE[:10] + b"\xff" * 20, "invalid block type"),
    "gzip: less than promised": (
        gzip.compress(HEAD + b"abcde"),
        "declares 6 bytes of data, shape (2, 3), the file contains 5",
    ),
    "gzip: more than promised": (gzip.compress(HEAD + b"abcdefg"), "contains more"),
    "gzip: huge": (gzip.compress(header(0x08, 1 << 20, 1 << 20)), "more than the file can contain"),
    "gzip: within gzip": (gzip.compress(WHOLE), "its first bytes must be"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_read_idx_refuses_a_broken_file(folder, kind):
    content, message = BROKEN[kind]
    path = put(folder, content)
    with pytest.raises(FileFormatError) as caught, memory_at_most(MIB):
        read_idx(path)
    assert str(path) in str(caught.value)
    assert message in str(caught.value)


def test_read_idx_needs_no_more_memory_than_the_data(folder):
    content = header(0x0B, 3_000_000) + os.urandom(6_000_000)
    for path in (put(folder, content), put(folder, gzip.compress(content, 1))):
        with memory_at_most(6_000_000 + MIB):
            array = read_idx(path)
        assert array[-1] == struct.unpack(">h", content[-2:])[0]


def test_read_idx_stops_a_gzip_bomb_where_the_promise_ends(folder):
    path = put(folder, gzip.compress(header(0x08, 10) + bytes(20_000_000), 9, mtime=0))
    with pytest.raises(FileFormatError, match=r"declares 10 bytes.*contains more"), memory_at_most(MIB):
        read_idx(path)


def test_read_idx_allocates_as_the_data_comes_not_as_promised(folder):
    # So much incompressible data that the promise of 500 MB is not impossible.
    path = put(folder, gzip.compress(header(0x08, 500_000_000) + os.urandom(500_000), 1))
    with pytest.raises(FileFormatError, match="the file contains 500000"), memory_at_most(500_000 + MIB):
        read_idx(path)


def test_read_idx_checks_the_digest_of_the_decompressed_file(folder):
    content = header(0x0B, 2) + b"abcd"
    good = hashlib.sha256(content).hexdigest()
    for path in (put(folder, content), put(folder, gzip.compress(content))):
        assert read_idx(path, good.upper()).tolist() == [0x6162, 0x6364]
        with pytest.raises(FileFormatError, match=f"SHA-256 is {good}, expected {'0' * 64}"):
            read_idx(path, "0" * 64)


def test_read_idx_says_that_there_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such file: .*nowhere"):
        read_idx(tmp_path / "nowhere")
    with pytest.raises(FileFormatError, match="is a folder or a device, not an IDX file"):
        read_idx(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are a Unix thing")
def test_read_idx_does_not_wait_at_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileFormatError, match="not an IDX file"):
        read_idx(tmp_path / "pipe")


IDX_ARRAYS = hnp.arrays(
    st.sampled_from(["uint8", "int8", "int16", "int32", "float32", "float64", ">i4", ">f8"]),
    hnp.array_shapes(min_dims=1, max_dims=5, min_side=0, max_side=4),
)


@given(array=IDX_ARRAYS, name=st.sampled_from(["file", "file.gz"]))
def test_write_idx_is_read_back_exactly(folder, array, name):
    write_idx(folder / name, array)
    with open(folder / name, "rb") as file:
        assert (file.read(2) == b"\x1f\x8b") == name.endswith(".gz")
    again = read_idx(folder / name)
    assert again.dtype == array.dtype.newbyteorder("=")
    assert again.shape == array.shape
    assert again.tobytes() == array.astype(again.dtype).tobytes()


@pytest.mark.parametrize("array", [np.array([1]), np.array([True]), np.array(["a"]), [1, 2]])
def test_write_idx_refuses_a_dtype_that_idx_has_not(folder, array):
    with pytest.raises(TypeError, match="must be uint8, int8, int16, int32, float32 or float64"):
        write_idx(folder / "refused", array)
    assert not (folder / "refused").exists()


def test_write_idx_refuses_a_scalar(folder):
    with pytest.raises(ValueError, match="at least one dimension"):
        write_idx(folder / "refused", np.uint8(1))


ORIGINAL = header(0x0B, 3, 4, 5) + bytes(range(120))


@st.composite
def mutated(draw, original):
    """Return `original` after one to four mutations of a few bytes each."""
    content = bytearray(original)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        stop = start + draw(st.integers(0, 8))
        kind = draw(st.sampled_from(["change", "flip", "cut", "insert", "repeat", "truncate"]))
        if kind == "change":
            content[start:stop] = draw(st.binary(min_size=stop - start, max_size=stop - start))
        elif kind == "flip" and start < len(content):
            content[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del content[start:stop]
        elif kind == "insert":
            content[start:start] = draw(st.binary(max_size=8))
        elif kind == "repeat":
            content[start:start] = content[start:stop]
        elif kind == "truncate":
            del content[start:]
    return bytes(content)


@settings(max_examples=MANY)
@given(content=mutated(ORIGINAL))
@example(content=ORIGINAL)
def test_read_idx_of_a_mutated_file_equals_a_naive_reader_or_refuses(folder, content):
    expected = idx_content(content)
    path = put(folder, content)
    with memory_at_most(MIB):
        try:
            array = read_idx(path)
        except FileFormatError:
            array = None
    if expected is None or array is None:
        assert array is None
        assert expected is None or 0 in expected[1]  # an empty array may still be refused, as absurd
    else:
        values, shape = expected
        assert array.shape == shape
        np.testing.assert_array_equal(array.ravel(), values)


@settings(max_examples=MANY)
@given(
    content=st.sampled_from([1, 9]).flatmap(lambda level: mutated(gzip.compress(ORIGINAL, level, mtime=0)))
)
@example(content=gzip.compress(ORIGINAL))
@example(content=gzip.compress(ORIGINAL) + bytes(100))
def test_read_idx_of_mutated_gzip_is_the_exact_array_or_refused(folder, content):
    path = put(folder, content)
    with memory_at_most(MIB):
        try:
            array = read_idx(path)
        except FileFormatError:
            return
    assert array.shape == (3, 4, 5)
    assert array.astype(">i2").tobytes() == ORIGINAL[16:]


@settings(max_examples=MANY)
@given(content=mutated(ORIGINAL))
def test_read_idx_of_mutated_content_in_sound_gzip_equals_a_naive_reader_or_refuses(folder, content):
    expected = idx_content(content)
    path = put(folder, gzip.compress(content, 1, mtime=0))
    with memory_at_most(MIB):
        try:
            array = read_idx(path)
        except FileFormatError:
            array = None
    assert (array is None) == (expected is None) or 0 in expected[1]
    if array is not None:
        np.testing.assert_array_equal(array, np.array(expected[0]).reshape(expected[1]))


def test_deflate_cannot_compress_better_than_the_reader_believes():
    assert 10_000_000 / len(zlib.compress(bytes(10_000_000), 9)) < 1032
