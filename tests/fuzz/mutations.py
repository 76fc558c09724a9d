"""Broken files by the thousand: a whole one, and up to eight changes as disks and enemies make them."""

import contextlib
import copy
import gzip
import json
import random
import re
import zlib

import safetensors.numpy

from minicnn.saving.tensors import _checksum

NUMBERS = (
    b"0",
    b"1",
    b"-1",
    b"7",
    b"64",
    b"255",
    b"65536",
    b"4294967296",
    b"999999999999999999",
    b"1e9",
    b"NaN",
)
VALUES = (
    0, 1, -1, 2, 3, 64, 10**9, 2**63, 0.5, 1e308, True, None, "", "same", "float32", [], {}, [1, 2], ["a"],
    {"tuple": [1, 2]}, {"tuple": []}, {"float": "nan"}, {"dict": [["a", 1]]}, {"function": "ops.softmax"},
    {"array": [1, 2], "dtype": "int8"}, {"class": "ReLU", "arguments": {}}, {"custom": True},
)  # fmt: skip


def mutated(content, random, others=(b"",), within=None):
    """Return a changed copy of `content`; half of the time `within` it, so that the damage lies deeper."""

    def change(content):
        content = bytearray(content)
        for _ in range(random.choice((1, 1, 1, 2, 3, 5, 8))):
            random.choice(KINDS)(content, random, random.choice(others))
        return bytes(content)

    return within(content, change) if within and random.random() < 0.5 else change(content)


def _place(content, random):
    return random.randrange(len(content) + 1)


def _span(content, random):
    start = _place(content, random)
    return slice(start, min(len(content), start + random.choice((1, 2, 4, 8, 16, 64, 300))))


def flip_bit(content, random, other):
    if content:
        content[random.randrange(len(content))] ^= 1 << random.randrange(8)


def set_byte(content, random, other):
    if content:
        content[random.randrange(len(content))] = random.choice((0, 1, 32, 34, 48, 57, 127, 128, 255))


def set_size(content, random, other):
    """Write a size in four or eight bytes, as headers have them."""
    size = random.choice((0, 1, 255, 256, 1 << 16, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 10**7))
    place = _place(content, random)
    content[place : place + 4] = size.to_bytes(random.choice((4, 8)), random.choice(("big", "little")))


def set_number(content, random, other):
    """Exchange one of the numbers that are written out."""
    found = list(re.finditer(rb"\d+", content[:4096]))
    if found:
        content[slice(*random.choice(found).span())] = random.choice(NUMBERS)


def truncate(content, random, other):
    del content[_place(content, random) :]


def delete(content, random, other):
    del content[_span(content, random)]


def insert(content, random, other):
    place = _place(content, random)
    content[place:place] = random.randbytes(random.choice((1, 2, 4, 20)))


def append(content, random, other):
    content += random.choice((b"\0", b"rubbish", bytes(100), other))


def fill(content, random, other):
    span = _span(content, random)
    content[span] = bytes([random.choice((0, 32, 48, 65, 255))]) * (span.stop - span.start)


def repeat(content, random, other):
    """Write a part a second time: behind itself, or over something else."""
    span, place = _span(content, random), _place(content, random)
    part = content[span]
    content[place : place + random.choice((0, len(part)))] = part


def splice(content, random, other):
    """Go on with another file, from the same place or from any."""
    place = _place(content, random)
    content[place:] = other[random.choice((place, random.randrange(len(other) + 1))) :]


KINDS = (
    *(flip_bit, flip_bit, set_byte, set_byte, set_size, set_number, truncate),
    *(delete, insert, append, fill, repeat, splice),
)


def in_safetensors(content, change):
    """Change it, and give the header the length that makes the values begin where they most likely do."""
    content = change(content)
    end = content.find(b"}}", 8) + 2
    while end > 1 and content[end : end + 1] == b" ":
        end += 1
    return max(end - 8, 0).to_bytes(8, "little") + content[8:]


def in_model(content, change):
    """Change the text of a model file, and make the checksum right."""
    arrays = safetensors.numpy.load(content)
    size = int.from_bytes(content[:8], "little")
    text = json.loads(content[8 : 8 + size])["__metadata__"]["minicnn"].partition(" ")[2]
    text = change(text.encode()).decode(errors="replace")
    return safetensors.numpy.save(arrays, {"minicnn": f"{_checksum(arrays, text)} {text}"})


def in_model_values(content, change):
    """Exchange values in the text of a model file for others of it, or for numbers and kinds that hurt."""

    def exchange(text):
        draws = random.Random(zlib.crc32(change(text)))
        value = json.loads(text)
        for _ in range(draws.choice((1, 1, 1, 2, 3))):
            places = list(_places(value))
            holder, key = draws.choice(places)
            other, name = draws.choice(places)
            holder[key] = copy.deepcopy(draws.choice((other[name], other[name], *VALUES)))
        return json.dumps(value, default=str).encode()

    return in_model(content, exchange)


def _places(value):
    """Yield (holder, key) for all values in a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


def in_gzip(content, change):
    """Change what is compressed."""
    with contextlib.suppress(OSError, EOFError, zlib.error):
        content = gzip.decompress(content)
    return gzip.compress(change(content), 1, mtime=0)


def in_png(content, change):
    """Change it, and make the checksums right."""
    content = change(content)
    result, place = bytearray(content[:8]), 8
    while place + 12 <= len(content):
        end = place + 8 + int.from_bytes(content[place : place + 4], "big")
        part = content[place:end]
        result += part + zlib.crc32(part[4:]).to_bytes(4, "big")
        place = end + 4
    return bytes(result + content[place:])
