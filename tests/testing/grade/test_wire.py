import io
import struct

import numpy as np
import pytest

from minicnn.testing.grade.child import MOST_BYTES, send
from minicnn.testing.grade.wire import NoArrayError, read_reply


def sent(*arrays):
    stream = io.BytesIO()
    send(stream, [np.array(array) if isinstance(array, list) else array for array in arrays])
    return stream.getvalue()


def frame(data):
    return struct.pack("<I", len(data)) + data


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i8", "u2", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_arrive_as_they_were_sent(dtype, order):
    array = np.array(np.arange(6).reshape(1, 2, 3), dtype=dtype, order=order)
    reply = read_reply(io.BytesIO(sent([0, -1, 0, 0], array, np.zeros((0, 3)))))
    np.testing.assert_array_equal(reply.results[0], array)
    assert reply.results[0].dtype == array.dtype
    assert reply.results[1].shape == (0, 3)


def test_texts_cannot_control_a_terminal():
    text = np.frombuffer(b"raised \x1b[2JError\r\n", np.uint8)
    assert read_reply(io.BytesIO(sent([1, -1, 1], text))).problem == "raised ?[2JError??"


def npy(header, data=b""):
    return frame(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data)


@pytest.mark.parametrize(
    "data",
    [
        frame(b"x" * 100),
        struct.pack("<I", MOST_BYTES + 1) + b"x" * 100,
        struct.pack("<I", 0),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000,), }\n"),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n", b"x" * 8),
        npy("{'descr': '<f9', 'fortran_order': False, 'shape': (1,), }\n", b"x" * 9),
        npy("__import__('os')._exit(0)\n"),
        npy("{'descr': '<f8', 'fortran_order': False, 'shape': (" + "1," * 70 + "), }\n", b"x" * 8),
        sent(np.zeros((2, 2))),
        sent(np.array([0.0, 1.0])),
        sent([0] * 40),
        sent([7, -1]),
    ],
)
def test_what_is_no_array_is_refused(data):
    with pytest.raises(NoArrayError):
        read_reply(io.BytesIO(data))


def test_a_stream_that_ends_early_is_an_end():
    with pytest.raises(EOFError):
        read_reply(io.BytesIO(sent([0, -1, 0], np.zeros(3))[:-1]))
