import json
import math

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st

from minicnn import FileFormatError
from minicnn.saving import read_tensors, write_tensors

ARRAYS = {
    "kernel": np.arange(6, dtype=np.float32).reshape(2, 3).T,  # not in C order
    "scalar": np.array(2.5),
    "none": np.zeros((0, 3), np.int64),
    "flags": np.array([True, False]),
}


def test_arrays_and_text_survive_a_round_trip_exactly(tmp_path):
    write_tensors(tmp_path / "a", ARRAYS, 'a text with "quotes", ü and\nlines')
    arrays, text = read_tensors(tmp_path / "a")
    assert text == 'a text with "quotes", ü and\nlines'
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(arrays[name], array)


def test_the_same_content_makes_the_same_bytes(tmp_path):
    for name in "ab":
        write_tensors(tmp_path / name, dict(reversed(ARRAYS.items())) if name == "b" else ARRAYS, "text")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_every_flipped_bit_of_values_and_text_is_found(tmp_path):
    path = tmp_path / "a"
    write_tensors(path, ARRAYS, "some text")
    good = path.read_bytes()
    header = 8 + int.from_bytes(good[:8], "little")
    text = range(good.index(b"some text"), good.index(b"some text") + 9)
    for place in (*text, *range(header, len(good))):
        broken = bytearray(good)
        broken[place] ^= 1
        path.write_bytes(broken)
        with pytest.raises(FileFormatError, match="checksum does not match its content"):
            read_tensors(path)


def test_exchanged_names_and_shapes_are_found(tmp_path):
    a, b = np.zeros((2, 3)), np.ones((2, 3))
    write_tensors(tmp_path / "a", {"a": a, "b": b})
    header = json.loads((tmp_path / "a").read_bytes()[8:].partition(b"}}")[0] + b"}}")["__metadata__"]
    for arrays in ({"a": b, "b": a}, {"a": a.T, "b": b}, {"a": a.astype(np.float32), "b": b}, {"a": a}):
        copies = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        (tmp_path / "b").write_bytes(safetensors.numpy.save(copies, header))
        with pytest.raises(FileFormatError, match="checksum"):
            read_tensors(tmp_path / "b")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a\tb": np.ones(1)}, r"names must be printable, got 'a\\tb'"),
        ({f"{i}": np.ones(1, np.uint8) for i in range(20_000)}, "more than 1..... strings, brackets and"),
    ],
)
def test_what_could_not_be_read_is_not_written(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=message):
        write_tensors(tmp_path / "a", arrays)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("dtype", ["c8", "c16", "U3", "O"])
def test_a_dtype_that_could_not_be_read_is_not_written(tmp_path, dtype):
    with pytest.raises((ValueError, safetensors.SafetensorError), match="dtype"):
        write_tensors(tmp_path / "a", {"a": np.zeros(1, dtype)})
    assert not (tmp_path / "a").exists()


def test_a_deep_and_narrow_net_may_have_thousands_of_small_tensors(tmp_path):
    arrays = {f"layers.{i}.kernel": np.full((2, 2), i, np.float32) for i in range(2500)}
    write_tensors(tmp_path / "a", arrays)
    assert read_tensors(tmp_path / "a")[0]["layers.2499.kernel"].tolist() == [[2499, 2499]] * 2


def test_a_file_of_others_has_no_text(tmp_path):
    (tmp_path / "a").write_bytes(safetensors.numpy.save({"x": np.ones(2)}, {"format": "pt"}))
    with pytest.raises(FileFormatError, match="no minicnn checksum"):
        read_tensors(tmp_path / "a")
    arrays, text = read_tensors(tmp_path / "a", checked=False)
    assert text is None
    assert arrays["x"].tolist() == [1, 1]


def with_header(change, arrays=ARRAYS, text="some text"):
    """The bytes of a file, with its header changed; its values, if any, are changed too."""
    content = safetensors.numpy.save(
        {name: np.ascontiguousarray(array) for name, array in arrays.items()},
        {"minicnn": "0123456789abcdef" * 4 + f" {text}"},
    )
    end = 8 + int.from_bytes(content[:8], "little")
    header = change(content[8:end])
    return len(header).to_bytes(8, "little") + header + content[end:]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b'"minicnn"', b'"minicmn"', "no minicnn checksum"),
        (b'"minicnn":"', b'"minicnn":"?', "does not match its content"),
        (b"__metadata__", b"a", "must have the keys dtype, shape, data_offsets"),
        (b'__metadata__":{"minicnn":"', b'x":"', "its JSON is broken"),
    ],
)
def test_a_file_that_lost_its_checksum_is_not_one_of_others(tmp_path, old, new, message):
    (tmp_path / "a").write_bytes(with_header(lambda header: header.replace(old, new, 1)))
    with pytest.raises(FileFormatError, match=message):
        read_tensors(tmp_path / "a")


def test_a_file_that_lost_all_of_its_metadata_is_not_one_of_others(tmp_path):
    # Found by the campaign of mutated files: what is left is a whole file, with another name in it.
    broken = with_header(lambda header: b'{"__meta' + header[header.index(b'"},"') + 6 :])
    (tmp_path / "a").write_bytes(broken)
    assert safetensors.numpy.load(broken)
    with pytest.raises(FileFormatError, match="no minicnn checksum"):
        read_tensors(tmp_path / "a")


def test_metadata_are_no_tensor(tmp_path):
    content = with_header(lambda header: header.replace(b'"none"', b'"__metadata__"'))
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(FileFormatError, match="a key occurs twice"):
        read_tensors(tmp_path / "a", checked=False)


def test_a_checksum_beside_other_metadata_is_refused(tmp_path):
    change = lambda header: header.replace(b'"minicnn"', b'"format":"np","minicnn"')  # noqa: E731
    (tmp_path / "a").write_bytes(with_header(change))
    with pytest.raises(FileFormatError, match="must be the only metadata"):
        read_tensors(tmp_path / "a")


@pytest.mark.parametrize(
    "metadata",
    [
        *(None, {}, {"format": "pt"}, {"licence": "x" * 99}, {"a": "b", "c": "d" * 99}),
        {"odd": '"\\/\b\x7f\x01ü😀'},
    ],
)
def test_files_of_others_are_read_whatever_their_metadata(tmp_path, metadata):
    content = safetensors.numpy.save({"x": np.ones(2)}, metadata)
    length = int.from_bytes(content[:8], "little")
    escaped = json.dumps(json.loads(content[8 : 8 + length])).encode()  # all that is not ASCII, as numbers
    for header in (content[8 : 8 + length], escaped):
        (tmp_path / "a").write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
        assert read_tensors(tmp_path / "a", checked=False)[0]["x"].tolist() == [1, 1]


TYPES = [
    "BOOL",
    "U8",
    "I8",
    "U16",
    "I16",
    "F16",
    "U32",
    "I32",
    "F32",
    "U64",
    "I64",
    "F64",
    "BF16",
    "F8_E4M3",
    "f4",
    "",
]
SIZES = st.integers(0, 3) | st.sampled_from([-1, 10**9, 2**62, 10**18, 10**25, 1.0, True, "1", None])


@st.composite
def headers(draw):
    """Headers of three kinds of truth: all, some, or none of it."""
    entries, end = {}, 0
    for name in draw(st.lists(st.text(max_size=3), max_size=4)):
        dtype, shape = draw(st.sampled_from(TYPES)), draw(st.lists(SIZES, max_size=3))
        size = {"B": 1, "U8": 1, "I8": 1}.get(dtype, 4)
        numbers = [size for size in shape if type(size) is int]
        begin, end = end, end + math.prod(numbers) * draw(st.sampled_from([size, size, 2, 8]))
        lie = draw(st.sampled_from([0, 0, 0, 0, 1, -1, 10**18]))
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, end + lie]}
        if draw(st.integers(0, 9)) == 0:
            entries[name][draw(st.text(max_size=5))] = draw(st.none() | st.lists(st.integers(), max_size=2))
    if draw(st.booleans()):
        values = st.text(max_size=3) if draw(st.booleans()) else st.none() | st.integers()
        entries["__metadata__"] = draw(st.dictionaries(st.text(max_size=3), values, max_size=2))
    indent, ascii = draw(st.sampled_from([None, None, 1])), draw(st.booleans())
    text = json.dumps(entries, indent=indent, ensure_ascii=ascii).encode(errors="surrogatepass")
    return (
        len(text).to_bytes(8, "little")
        + text
        + bytes(max(0, min(end, 1000) + draw(st.sampled_from([0, 0, 1]))))
    )


@given(headers())
@settings(max_examples=5 * settings.default.max_examples)
def test_a_header_is_read_as_by_the_library_or_refused(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "a"
    path.write_bytes(content)
    try:
        arrays, _ = read_tensors(path, checked=False)
    except FileFormatError:
        return
    theirs = safetensors.numpy.load(content)
    assert arrays.keys() == theirs.keys()
    for name, array in arrays.items():
        assert (array.dtype, array.shape) == (theirs[name].dtype, theirs[name].shape)
        assert array.tobytes() == theirs[name].tobytes()
