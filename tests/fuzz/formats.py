"""What may come out of a file, whatever its bytes: each format, and a second opinion about what is in it."""

import gzip
import json
import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.numpy
from fuzz.mutations import in_gzip, in_model, in_model_values, in_png, in_safetensors
from references import idx_content

from minicnn import FileFormatError, load_model
from minicnn.datasets import ImageReader, load_digit_image, read_idx
from minicnn.runs import read_history, read_result
from minicnn.saving import read_tensors
from minicnn.saving.checkpoints import CheckpointFolder

CORPUS = Path(__file__).parent / "corpus"


@dataclass(frozen=True)
class Format:
    """One kind of file: what it is called, how its content is read, and how to change the inside of one.

    `read` returns what can be compared, or raises; `sealed` tells that there is a checksum: a changed file
    must then have the content of a whole one, or none.
    """

    filename: str
    read: Callable
    within: Callable | None = None
    sealed: bool = False


def read_weights(path, checked=True):
    arrays, _ = read_tensors(path, checked)
    content = path.read_bytes()
    # The library that the format comes from must agree, and a few lines that read whole files only.
    assert described(arrays) == described(safetensors.numpy.load(content)) == described(by_hand(content))
    return described(arrays)


def by_hand(content):
    """Read a safetensors file as its format is described, with each name and field once."""
    start = 8 + int.from_bytes(content[:8], "little")
    pairs = json.loads(content[8:start], object_pairs_hook=list)
    arrays, ends = {}, [0]
    for name, fields in sorted(pairs, key=lambda pair: dict(pair[1]).get("data_offsets", [])):
        if name == "__metadata__":
            continue
        (_, begin_end), (_, dtype), (_, shape) = sorted(fields)
        assert name not in arrays
        assert begin_end[0] == ends[-1]
        ends.append(begin_end[1])
        kind = "?" if dtype == "BOOL" else f"<{dtype[0].lower()}{int(dtype[1:]) // 8}"
        arrays[name] = np.frombuffer(content[start:][slice(*begin_end)], kind).reshape(shape)
    assert start + ends[-1] == len(content)
    return arrays


def described(arrays):
    return sorted((name, str(a.dtype), a.shape, a.tobytes()) for name, a in arrays.items())


def read_checkpoint(path):
    snapshot = CheckpointFolder(path.parent).latest()
    return described(snapshot.arrays), json.dumps(snapshot.state)


def read_model(path):
    model = load_model(path)
    # The rules that limit sizes and the layers themselves must agree.
    if all(math.prod(layer.output_shape) < 1000 for _, layer in model.named_layers()):
        with np.errstate(all="ignore"):
            y = model.predict(np.zeros((1, *model.input_shape), model.dtype))
        assert y.shape[1:] == model.output_shape
    weights = described({name: parameter.value for name, parameter in model.named_parameters()})
    trainable = [parameter.trainable for parameter in model.parameters()]
    return repr(model), weights, trainable, repr((model.class_names, model.preprocessing, model.made_by))


def read_array(path):
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error):
            content = b""
    expected = idx_content(content)
    try:
        array = read_idx(path)
    except FileFormatError:
        # Of the whole files only empty arrays of absurd sizes may be refused.
        assert expected is None or not expected[0], "a whole file was refused"
        raise
    assert expected is not None, "a broken file was accepted"
    values, shape = expected
    assert array.shape == shape
    assert np.array_equal(array.ravel(), np.array(values, array.dtype), equal_nan=array.dtype.kind == "f")
    return array.dtype.str, array.shape, array.tobytes()


def read_picture(path):
    pixels = ImageReader((28, 28), 3)(path)
    assert (pixels.dtype, pixels.shape) == (np.uint8, (28, 28, 3))
    try:
        digit = load_digit_image(path)
    except FileFormatError:
        raise
    except ValueError as error:
        if "no digit found" not in str(error):
            raise
        return pixels.tobytes()
    assert (digit.dtype, digit.shape, digit.max()) == (np.uint8, (28, 28, 1), 255)
    return pixels.tobytes() + digit.tobytes()


def read_csv(path):
    history = read_history(path.parent)
    return repr(history)


def read_json(path):
    return repr(read_result(path.parent))


FORMATS = {
    "weights": Format("w.safetensors", read_weights, in_safetensors, sealed=True),
    "checkpoint": Format("step-00000001.safetensors", read_checkpoint, in_safetensors, sealed=True),
    "model": Format("net.safetensors", read_model, in_safetensors, sealed=True),
    "model-inside": Format("net.safetensors", read_model, in_model),
    "model-values": Format("net.safetensors", read_model, in_model_values),
    "stranger": Format("w.safetensors", lambda path: read_weights(path, False), in_safetensors),
    "idx": Format("idx", read_array),
    "gzip": Format("idx.gz", read_array, in_gzip),
    "png": Format("picture", read_picture, sealed=True),
    "png-inside": Format("picture", read_picture, in_png),
    "picture": Format("picture", read_picture),
    "json": Format("result.json", read_json),
    "csv": Format("history.csv", read_csv),
}


def seeds(name):
    """Return the whole files of a format: those of the corpus under its name."""
    return [
        path.read_bytes()
        for path in sorted(CORPUS.glob(f"{name.removesuffix('-inside').removesuffix('-values')}-*"))
    ]


def outcome(form, path):
    """Return the content of a file; None if it was refused."""
    try:
        return form.read(path)
    except FileFormatError:
        return None
