"""Which files need TensorFlow, and what their process runs beside `child.py`."""

import importlib.util
import re
from pathlib import Path

LIBRARIES = tuple(Path(__file__).with_name(name) for name in ("tf_layers.py", "library.py"))
_NET, _IMPORT = re.compile(rb"\blenet5\b"), re.compile(rb"\b(tensorflow|keras)\b")


def needs_tensorflow(path: Path) -> bool:
    """Return whether a file seems to be a solution of `lenet5`; told by its text, it is not run."""
    try:
        text = path.read_bytes()
    except OSError:
        return False
    return bool(_NET.search(text) and _IMPORT.search(text))


def without_tensorflow(path: Path) -> str:
    """Return why a file cannot be graded here; nothing if it can."""
    if importlib.util.find_spec("tensorflow") or not needs_tensorflow(path):
        return ""
    return "needs TensorFlow, which is not installed: pip install 'minicnn-numpy[tensorflow]'"
