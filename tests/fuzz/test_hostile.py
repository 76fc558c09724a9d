"""Loading runs no code, writes nothing, and takes no memory that a file's size does not justify."""

import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from fuzz.mutations import in_model
from PIL import Image

TESTS = Path(__file__).parents[1]

WATCH = """
import os, random, sys, tempfile
from pathlib import Path
from fuzz.formats import FORMATS, outcome, seeds
from fuzz.mutations import mutated

draws, todo = random.Random(0), []
folder = Path(tempfile.mkdtemp())
for name, form in FORMATS.items():
    whole = seeds(name)
    for number in range(len(whole) + 60):
        content = draws.choice(whole)
        content = whole[number] if number < len(whole) else mutated(content, draws, whole, form.within)
        path = folder / name / str(number) / form.filename
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        todo.append((form, path))
        if number < len(whole):
            outcome(form, path)  # so that all modules are loaded

WATCHED = ("exec", "compile", "import", "marshal.", "pickle.", "code.__new__", "subprocess.", "os.system",
           "os.exec", "os.posix_spawn", "os.fork", "os.spawn", "ctypes.", "socket.", "os.remove", "os.rename",
           "os.mkdir", "os.chmod", "os.link", "os.symlink", "shutil.", "webbrowser.")
OWN = {"ctypes.addressof", "ctypes.cdata", "ctypes.cdata/buffer"}  # of where an array begins (ops/memory.py)
seen = set()

def hook(event, args):
    writes = event == "open" and (args[2] or 0) & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
    if event not in OWN and (writes or event.startswith(WATCHED)):
        seen.add((event, str(args)[:200]))

sys.addaudithook(hook)
accepted = sum(outcome(form, path) is not None for form, path in todo)
found = sorted(seen)
print(len(todo), accepted, found)
"""


def run(code, *arguments):
    environment = os.environ | {"PYTHONPATH": str(TESTS)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loading_whole_and_broken_files_runs_no_code_and_writes_nothing():
    count, accepted, found = run(WATCH).split(" ", 2)
    assert int(count) > 600
    assert int(accepted) > 100
    assert found.strip() == "[]"


COLD = """
import sys
from minicnn.datasets import load_digit_image

plain, *odd = sys.argv[1:]
load_digit_image(plain)
seen = []
def hook(event, args):
    if event in ("import", "exec", "compile"):
        seen.append((event, args))

sys.addaudithook(hook)
for path in odd:
    assert load_digit_image(path).max() == 255
print(seen)
"""


def test_a_picture_does_not_decide_what_is_imported(tmp_path):
    """Pillow has a module for pictures of several pictures, and one for what cameras note."""
    paper = Image.new("L", (60, 60), 255)
    paper.paste(0, (25, 10, 32, 50))
    noted = Image.Exif()
    noted[0x0112] = 6
    paper.save(tmp_path / "plain", "PNG")
    paper.save(tmp_path / "noted", "JPEG", exif=noted)
    paper.save(tmp_path / "several", "MPO", save_all=True, append_images=[paper])
    assert run(COLD, *(str(tmp_path / name) for name in ("plain", "noted", "several"))) == "[]\n"


def tensors(entries, data=b""):
    header = entries if isinstance(entries, bytes) else json.dumps(entries).encode()
    return len(header).to_bytes(8, "little") + header + data


def tensor(*shape, end=0, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [0, end]}


def png(width, height, *chunks, colour=0):
    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
        for kind, part in parts
    )


def jpeg(width, height):
    seed = (TESTS / "fuzz" / "corpus" / "picture-grey.jpg").read_bytes()
    place = seed.index(b"\xff\xc0") + 5
    return seed[:place] + struct.pack(">HH", height, width) + seed[place + 4 :]


def bmp(width, height, compression=0, colours=0):
    info = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, compression, 0, 0, 0, colours, 0)
    return b"BM" + struct.pack("<IHHI", 54 + 1024, 0, 0, 54 + 1024) + info + bytes(1024)


def model(**changes):
    """Return a model file whose text says something else, with a checksum that is right."""
    seed = (TESTS / "fuzz" / "corpus" / "model-residual.safetensors").read_bytes()
    return in_model(seed, lambda text: json.dumps(json.loads(text) | changes).encode())


def layer(name, **arguments):
    return {"class": name, "arguments": arguments}


EMPTY = hashlib.sha256(b"").hexdigest()
BOMB = zlib.compress(b"a" * 1_000_000, 9)
PIXELS = struct.pack(">BBBBIII", 0, 0, 8, 3, 1000, 1000, 1000)
HOSTILE = {
    "weights": {
        "a length without end": b"\xff" * 8 + b"{}",
        "a length beyond the file": (10**8).to_bytes(8, "little") + b"{}",
        "values beyond the file": tensors({"a": tensor(10**9, end=4 * 10**9)}),
        "too large for any machine": tensors({"a": tensor(10**17, 10**17)}),
        "nothing times very much": tensors({"a": tensor(0, 10**17, 10**17)}),
        "a negative size": tensors({"a": tensor(-1)}, bytes(4)),
        "a size that is no number": tensors(b'{"a":{"dtype":"F32","shape":[NaN],"data_offsets":[0,4]}}'),
        "a size of a million digits": tensors(
            b'{"a":{"dtype":"F32","shape":[' + b"1" * 1_000_000 + b'],"data_offsets":[0,4]}}', bytes(4)
        ),
        "a gap": tensors({"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}}, bytes(2)),
        "an overlap": tensors({"a": tensor(1, end=4), "b": tensor(1, end=4)}, bytes(8)),
        "bytes behind": tensors({"a": tensor(1, end=4)}, bytes(5)),
        "a name twice": tensors(
            b'{"a":%s,"a":%s}' % ((json.dumps(tensor(1, end=4)).encode(),) * 2), bytes(4)
        ),
        "a field twice": tensors(
            b'{"a":{"dtype":"F32","dtype":"F32","data_offsets":[0,4]}}', bytes(4)
        ),
        "an unknown field": tensors({"a": tensor(1, end=4) | {"__reduce__": "os.system"}}, bytes(4)),
        "an unknown field of lists": tensors({"a": tensor(1, end=4) | {"x": [[]] * 300_000}}, bytes(4)),
        "a list in place of fields": tensors({"a": ["F32", [1], [0, 4]]}, bytes(4)),
        "a size of 64 bits": tensors({"a": tensor(0, 10**19)}),
        "65 dimensions": tensors({"a": tensor(*[1] * 65, end=4)}, bytes(4)),
        "more sizes than values": tensors({"a": tensor(0, *[1000] * 200_000)}),
        "a name that never ends": tensors(b'{"' + b'\\"' * 500_000),
        "an unknown type": tensors({"a": tensor(1, end=4, dtype="object")}, bytes(4)),
        "brackets": tensors(b'{"a":' + b"[" * 500_000),
        "lists": tensors(b'{"a":[' + b"[]," * 300_000 + b"[]]}"),
        "names alone": tensors({f"{i}": tensor(0) for i in range(20_000)}),
        "a name that moves the cursor": tensors({"\x1b[2J": tensor(1, end=4)}, bytes(4)),
        "half a character": tensors(b'{"\\ud800":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'),
        "half a character in metadata": tensors(b'{"__metadata__":{"k":"\\udc00"}}'),
        "half a character and something else": tensors(b'{"__metadata__":{"k":"\\ud800\\u0041"}}'),
        "an unknown escape": tensors(b'{"__metadata__":{"mi\\icnn":"%s "}}' % EMPTY.encode()),
        "a tensor called metadata": tensors({"__metadata__": tensor(1, end=4)}, bytes(4)),
        "no metadata": tensors(b'{"__metadata__":null}'),
        "metadata of a thousand texts": tensors({"__metadata__": {f"{i}": "" for i in range(100_000)}}),
        "metadata twice": tensors(b'{"__metadata__":{},"__metadata__":{}}'),
        "a wrong checksum": tensors({"__metadata__": {"minicnn": "0" * 64 + " "}, "a": tensor(0)}),
        "half a checksum": tensors({"__metadata__": {"minicnn": "0"}, "a": tensor(0)}),
        "a damaged checksum": tensors({"__metadata__": {"minicmn": "0" * 64 + " "}, "a": tensor(0)}),
        "a pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "a zip": b"PK\x03\x04" + bytes(100),
    },
    "model": {
        "an input without end": model(input_shape=[2**20, 2**20, 1]),
        "an input that fits no memory": model(input_shape=[2**28]),
        "a billion units": model(architecture=layer("Dense", units=10**9)),
        "a billion filters": model(architecture=layer("Conv2D", filters=10**9, kernel_size=1)),
        "a window of a million rows": model(architecture=layer("Conv2D", filters=1, kernel_size=10**6)),
        "a margin": model(architecture=layer("ZeroPadding2D", padding=10**9)),
        "slopes": model(architecture=layer("PReLU", shared=False), input_shape=[2**13, 2**13, 4]),
        "statistics": model(architecture=layer("BatchNorm"), input_shape=[2**28]),
        "an image blown up": model(architecture=layer("Upsampling2D", size=[10**6, 10**6])),
        "brackets": model(architecture=layer("Sequential", layers=[[[[]]]] * 40)),
        "a class of the system": model(architecture=layer("os.system", command="true")),
        "a class that is no layer": model(architecture=layer("Parameter", value=[1.0])),
        "a function of the system": model(
            architecture=layer("Dense", units=2, kernel_initializer={"function": "os.system"})
        ),
        "a class with markup": model(architecture=layer("<b>")),
    },
    "idx": {
        "beyond the file": PIXELS,
        "nothing times very much": struct.pack(">BBBBIII", 0, 0, 8, 3, 0, 2**32 - 1, 2**32 - 1),
    },
    "gzip": {
        "beyond the file": gzip.compress(PIXELS),
        "more than promised": gzip.compress(struct.pack(">BBBBI", 0, 0, 8, 1, 9) + bytes(20_000_000)),
        "less than promised": gzip.compress(PIXELS + bytes(100_000)) + bytes(2_000_000),
    },
    "png": {
        "texts": png(9, 9, *[(b"zTXt", b"key\0\0" + BOMB)] * 60, (b"IDAT", zlib.compress(bytes(90)))),
        "a profile": png(9, 9, (b"iCCP", b"key\0\0" + BOMB), (b"IDAT", zlib.compress(bytes(90)))),
        "pixels": png(7000, 7000, (b"IDAT", zlib.compress(bytes(90)))),
        "colours": png(5000, 5000, (b"IDAT", zlib.compress(bytes(90))), colour=6),
        "a checksum": png(9, 9)[:-1] + b"?",
        "no end": png(9, 9)[:-12],
    },
    "picture": {
        "a JPEG's pixels": jpeg(7000, 7000),
        "a BMP's pixels": bmp(7000, 7000),
        "a BMP's runs": bmp(100_000, 1, compression=1) + b"\0\2\xff\xff" * 100 + b"\0\1",
        "a BMP's colours": bmp(36, 44, colours=65536) + bytes(36 * 44),
        "a PPM's pixels": b"P5 7000 7000 255\n",
        "a PPM's digits": b"P2 " + b"9" * 5000,
        "a GIF's pixels": b"GIF89a" + struct.pack("<HH", 7000, 7000) + bytes(3) + b",",
        "a WebP": b"RIFF\x20\0\0\0WEBPVP8L\x14\0\0\0\x2f\xff\xff\xff\xff" + bytes(20),
        "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/tmp/x) (w) file\n",
    },
    "json": {
        "a list": b"[]",
        "brackets": b'{"a":' + b"[" * 500_000,
        "lists": b'{"a":[' + b"[]," * 300_000 + b"[]]}",
        "a key twice": b'{"a": 1, "a": 2}',
        "a number of a million digits": b'{"a": ' + b"1" * 1_000_000 + b"}",
        "not UTF-8": b'{"a": "\xff"}',
        "too long": b" " * 2_000_000 + b"{}",
    },
}  # fmt: skip

# What Python and NumPy ask for is counted. For Pillow's memory there is a limit on addresses, so that what is
# never touched counts too; what the C library takes in large pieces comes on top.
MEASURE = """
import resource, sys, tracemalloc
from pathlib import Path
from fuzz.formats import FORMATS, seeds
from minicnn.datasets import load_digit_image, read_idx
from minicnn.runs import read_result
from minicnn.saving import load_model, read_tensors

# Without second opinions, which trust the files.
READERS = {"weights": read_tensors, "model": load_model, "idx": read_idx, "gzip": read_idx,
           "png": load_digit_image, "picture": load_digit_image,
           "json": lambda path: read_result(path.parent)}

def outcome(read, path, content):
    path.write_bytes(content)
    size = 4096 * int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (size + 6 * len(content) + (16 << 20), resource.RLIM_INFINITY))
    tracemalloc.start()
    try:
        read(path)
        return "accepted"
    except (ValueError, MemoryError) as error:
        causes = [error]
        while causes[-1] is not None:
            causes.append(causes[-1].__cause__)
        peak = tracemalloc.get_traced_memory()[1]
        full = peak > 6 * len(content) + (1 << 20) or any(isinstance(one, MemoryError) for one in causes)
        return f"out of memory, {peak}" if full else type(error).__name__
    finally:
        tracemalloc.stop()
        resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

for name, read in READERS.items():
    folder = Path(sys.argv[1]) / name
    path = folder / FORMATS[name].filename
    for content in seeds(name):
        path.write_bytes(content)
        read(path)
    for source in sorted(folder.glob("hostile-*")):
        print(name, source.name.removeprefix("hostile-"), outcome(read, path, source.read_bytes()), sep=": ")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is limited as Linux does it")
def test_a_hostile_file_is_refused_within_the_memory_that_its_size_justifies(tmp_path):
    expected = []
    for name, files in HOSTILE.items():
        (tmp_path / name).mkdir()
        for title, content in sorted(files.items()):
            (tmp_path / name / f"hostile-{title}").write_bytes(content)
            # These are left out, and the picture is as blank as without.
            harmless = name == "png" and title in ("texts", "a profile")
            expected.append(f"{name}: {title}: {'ValueError' if harmless else 'FileFormatError'}")
    assert run(MEASURE, str(tmp_path)).splitlines() == expected
