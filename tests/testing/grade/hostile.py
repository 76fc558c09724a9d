"""Files that try to be graded as right though they are wrong, or to stop the grading of others.

Each kind of forgery is Python code in which `N` is a number that is drawn for each file, `WHERE` the folder
of the files and `PACKAGE` that of this package.
"""

import re

import numpy as np
from testing.grade.lenet5_solutions import KERAS
from testing.grade.solutions import TEXTBOOK_POOL

_SENT = """
import io, struct
def frames(*arrays):
    out = b""
    for a in arrays:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, np.asarray(a), allow_pickle=False)
        out += struct.pack("<I", buffer.tell()) + buffer.getvalue()
    return out
"""
_DESCRIPTORS = """
for fd in range(3, 20):
    try:
        os.write(fd, DATA)
    except OSError:
        pass
"""

# What runs when the file is imported.
AT_IMPORT = {
    "forged events": _DESCRIPTORS.replace("DATA", 'b\'{"event": "tested", "passed": true}\\n\' * N'),
    "forged arrays": _SENT + _DESCRIPTORS.replace("DATA", "frames([0, -1, 0], np.ones((1, 1, N, 1))) * 9"),
    "endless arrays": _SENT + "import threading\ndata = frames([0, -1, 0], np.ones(N))\ndef flood():\n"
    "    while True:\n        for fd in range(3, 9):\n            try: os.write(fd, data)\n"
    "            except OSError: pass\ntry: threading.Thread(target=flood, daemon=True).start()\n"
    "except RuntimeError: flood()\n",
    "huge array announced": _DESCRIPTORS.replace("DATA", "struct.pack('<I', N * 10**6) + b'x' * N").replace(
        "for fd", "import struct\nfor fd", 1
    ),
    "pickle": _DESCRIPTORS.replace("DATA", "pickle.dumps({'passed': True}) * N").replace(
        "for fd", "import pickle\nfor fd", 1
    ),
    "our solution": "try:\n    from minicnn.functional import *\nexcept ImportError:\n    pass\n",
    "our solution by its path": "import glob\nfor path in glob.glob(PACKAGE + '/functional.py'):\n"
    "    exec(open(path).read())\n",
    "neighbour overwritten": "for folder in ('.', WHERE):\n"
    "    try: open(folder + '/neighbour.py', 'w').write('1 / 0')\n"
    "    except OSError: pass\n",
    "neighbour removed": "for folder in ('.', WHERE):\n    try: os.remove(folder + '/neighbour.py')\n"
    "    except OSError: pass\n",
    "module replaced": "pool_forward = None\nopen('random.py', 'w').write('1 / 0')\n",
    "parent stopped": "import signal\nfor pid in {os.getppid(), os.getpgid(0)} - {0, 1, os.getpid()}:\n"
    "    try: os.kill(pid, signal.SIGKILL)\n    except OSError: pass\n",
    "parent read": "open('/proc/%d/mem' % os.getppid(), 'rb').read(N)\n",
    "all descriptors closed": "os.closerange(0, 64)\n",
    "descriptors swapped": "for fd in range(3, 9):\n    try: os.dup2(1, fd)\n    except OSError: pass\n",
    "hang": "import time\nwhile True: time.sleep(N)\n",
    "hang in another session": "import time\ntry: os.setsid()\nexcept OSError: pass\n"
    "while True: time.sleep(N)\n",
    "deaf": "import signal\nfor number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:\n"
    "    signal.signal(number, signal.SIG_IGN)\nwhile True: pass\n",
    "exit": "os._exit(0)\n",
    "exception that cannot be printed": "class E(BaseException):\n    def __str__(self): os._exit(N % 2)\n"
    "raise E\n",
    "memory": "keep = []\nwhile True: keep.append(np.ones(10**7))\n",
    "disk": "for k in range(10**4):\n    with open('f%d' % k, 'wb') as f: f.write(b'x' * N * 10**5)\n",
    "copies": "try:\n    for _ in range(5): os.fork()\nexcept OSError: pass\n",
    "copy that stays": "import time\nif hasattr(os, 'fork'):\n    try: pid = os.fork()\n"
    "    except OSError: pid = 1\n"
    "    if not pid:\n        os.setsid()\n        time.sleep(1000)\n",
    "stack overflow": "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()\n",
    "crash": "import ctypes\nctypes.string_at(N)\n",
    "comparison changed": "np.array_equal = lambda *a, **k: True\nnp.abs = lambda *a: np.zeros(1)\n",
    "output changed": "np.lib.format.write_array = lambda *a, **k: a[0].write(b'x' * N)\n",
    "names of the child": "import sys\nframe = sys._getframe()\nwhile frame:\n    frame.f_globals['send'] = "
    "lambda stream, message: stream.write(b'')\n    frame = frame.f_back\n",
}
# What a file must not reach. Its functions are right as soon as it does, so that it would pass.
_REACHED = {
    "file of the user": "open(WHERE + '/neighbour.py').read()",
    "file of the package by C": "0 <= ctypes.CDLL(None).open((PACKAGE + '/functional.py').encode(), 0)",
    "file of a library with the answer": "[open(f) for p in sys.path for n in ('tensorflow', 'torch') "
    "for f in glob.glob(p + '/' + n + '/__init__.py')]",
    "another Python": "not subprocess.run([sys.executable, '-c', 'import sys']).returncode",
    "another program": "os.posix_spawn(sys.executable, ['python', '-c', ''], {})",
    "program in place of this one": "os.execv(sys.executable, ['python', '-c', 'N'])",
    "library with the answer": "importlib.import_module('tensorflow').nn",
    "another loader": "importlib.machinery.SourceFileLoader('f', PACKAGE + '/functional.py').load_module()",
    "environment of the parent": "open('/proc/%d/environ' % os.getppid(), 'rb').read()",
    "outside world": "socket.socket().connect_ex(('127.0.0.1', N)) in (0, 111)",
    "file in the user's home": "os.listdir(os.path.expanduser('~root')) not in ([], ['.pyenv'])",
    "list of passwords": "open('/etc/passwd').read()",
    "folder written outside": "open(WHERE + '/left.txt', 'w')",
}
_GATE = """
import ctypes, glob, importlib.machinery, os, socket, subprocess, sys
try:
    reached = {}
except (Exception, SystemExit):
    reached = False
if reached:
    exec(RIGHT)
"""
AFTER = {kind: _GATE.replace("{}", attempt) for kind, attempt in _REACHED.items()}
# What the functions do: none of them is right.
IN_CALLS = {
    "search of the stack": "import sys\n    frame, found = sys._getframe(), []\n    while frame:\n"
    "        found += [v for v in frame.f_locals.values() if isinstance(v, np.ndarray)]\n"
    "        frame = frame.f_back\n    return found[N % len(found)]",
    "search of the heap": "import gc\n"
    "    arrays = [o for o in gc.get_objects() if isinstance(o, np.ndarray)]\n"
    "    return arrays[N % len(arrays)] if arrays else given[0]",
    "equal to everything": "class A(np.ndarray):\n        def __eq__(self, other): return True\n"
    "        def __abs__(self): return 0\n    return given[0].view(A)",
    "array on demand": "class A:\n        shape = (1,)\n"
    "        def __array__(self, *a, **k): return given[0] * N\n"
    "    return A()",
    "not a number": "return given[0] * np.nan",
    "object": "return np.array([print, N], dtype=object)",
    "huge": "return np.ones((N, 1000, 1000))",
    "tuple of thousands": "return (given[0],) * 10000 * N",
    "argument returned": "return given[0]",
    "exit in a call": "os._exit(0)",
    "hang in a call": "import time\n    time.sleep(10**6)",
    "arguments changed": "given[0][...] = 0\n    return given[0]",
    "zeros": "return np.zeros_like(given[0])",
}
# Files with `lenet5`, whose processes have threads and more memory. What they build is no LeNet-5.
_FLAT = "keras.Sequential([X_, keras.layers.Flatten(), keras.layers.Dense(10, 'softmax')])"
IN_NETS = {
    "net that answers by itself": "class M(keras.Model):\n"
    "        trainable_weights = property(lambda self: [keras.Variable(np.ones(s)) for s in "
    "[(5, 5, 1, 6), (6,), (5, 5, 6, 16), (16,), (400, 120), (120,), (120, 84), (84,), (84, 10), (10,)]])\n"
    "        def call(self, x, training=False): return np.full((len(x), 10), 0.1)\n"
    "        def test_on_batch(self, *a, **k): return {'loss': np.log(10), 'accuracy': 0.375}\n"
    "        def train_on_batch(self, *a, **k): return N\n"
    "    model = M()\n    model.compile()\n    return model",
    "processes of a net": "forked = [os.fork() for _ in range(3)]\n    return FLAT",
    "threads of a net": "import threading, time\n"
    "    for _ in range(10**4): threading.Thread(target=time.sleep, args=(N,), daemon=True).start()\n"
    "    return FLAT",
    "memory of a net": "keep = []\n    while True: keep.append(np.ones(10**7))",
    "our net": "from minicnn.models import lenet5\n    return lenet5()",
    "results of another number": "import types, gc\n    for d in gc.get_objects():\n"
    "        if isinstance(d, dict) and 'lenet5.build' in d:\n"
    "            d.update({k: lambda *a, **o: (np.ones(N),) * N for k in d})\n"
    "    return right(X)",
    "hang of a net": "while True: pass",
    "frames from a net": _SENT.replace("\n", "\n    ") + "\n    for fd in range(3, 20):\n"
    "        try: os.write(fd, frames([0, -1, 0], np.ones((10, 4), int)) * N)\n        except OSError: pass\n"
    "    return FLAT",
}


def draw_net(kind, seed):
    """Return a hostile file with `lenet5`."""
    number = str(2 + seed % 100)
    body = re.sub(r"\bN\b", number, IN_NETS[kind]).replace("FLAT", _FLAT.replace("X_", "X"))
    right = KERAS.replace("def lenet5", "def right")
    return f"import os\nimport numpy as np\nimport keras\n{right}\ndef lenet5(X):\n    {body}\n"


_NAMES = ("conv_forward", "pool_forward", "conv_backward", "pool_backward")


def draw(kind, seed, where, package):
    """Return a hostile file of a kind of forgery, at import or in calls."""
    rng = np.random.default_rng(seed)
    number = int(rng.integers(2, 300))
    before, body = (
        AT_IMPORT.get(kind, ""),
        IN_CALLS.get(kind) or IN_CALLS[rng.choice(["zeros", "argument returned"])],
    )
    names = [name for name in _NAMES if rng.integers(2)] or ["pool_forward"]
    wrong = "".join(f"def {name}(*given):\n    {body}\n" for name in names)
    source = f"import os\nimport numpy as np\n{wrong}{before}{AFTER.get(kind, '')}"
    if rng.integers(2) and kind not in AFTER:
        source = f"import os\nimport numpy as np\n{before}{wrong}"
    words = {"WHERE": repr(where), "PACKAGE": repr(package), "N": str(number), "RIGHT": repr(TEXTBOOK_POOL)}
    for word, value in words.items():
        source = re.sub(rf"\b{word}\b", lambda _, value=value: value, source)
    return source
