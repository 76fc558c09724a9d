"""A disk that is full: no file of this process, or of the processes that it starts, grows beyond a size.

Meanwhile Python writes no bytecode. It takes no notice of a write that is cut off, so half a module would
stay in the cache, for all that import it later.
"""

import contextlib
import os
import resource
import sys

NO_BYTECODE = {"PYTHONDONTWRITEBYTECODE": "1"}


def fill_disk(size, hard=resource.RLIM_INFINITY):
    """Let no file grow beyond `size` bytes, from now on."""
    os.environ.update(NO_BYTECODE)
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))


@contextlib.contextmanager
def full_disk(size=0):
    """Let no file grow beyond `size` bytes, until the end of a block."""
    before, writes_none = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    fill_disk(size, before[1])
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        for name in NO_BYTECODE:
            del os.environ[name]
        sys.dont_write_bytecode = writes_none
