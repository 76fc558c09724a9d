"""The argument `threads`, and a limit on the number of BLAS threads."""

import contextlib
import functools
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from minicnn.cores import available_threads
from minicnn.validation import check_int

_lock = threading.RLock()
_active_limits: list[tuple[int, int]] = []  # thread and count of the `blas_threads` blocks that run now
_IMPORTED_LATER = (
    *("concurrent.futures.thread", "multiprocessing.connection", "subprocess", "tempfile"),
    *("numpy.ma", "numpy.random", "threadpoolctl", "minicnn.parallel.shard_threads"),
)
_original_limits = contextlib.ExitStack()  # restores what was in force before the first of them


def resolve_threads(threads: int | None, ranks: int = 1) -> int:
    """Return the argument `threads`; its default is all cores, or 1 if several ranks share the machine."""
    import_modules()
    if threads is None:
        return available_threads() if ranks == 1 else 1
    return check_int(threads, "threads", low=1)


def import_modules() -> None:
    """Import what a fit needs; `import minicnn` does not, to be fast.

    A fork of the process during an import in another thread would wait for ever at the same import.
    """
    with _lock:
        for name in _IMPORTED_LATER:
            importlib.import_module(name)


@contextlib.contextmanager
def blas_threads(count: int) -> Iterator[None]:
    """Limit BLAS to `count` threads; of several blocks at the same time, the lowest limit applies."""
    block = threading.get_ident(), count
    with _lock:
        limits = _set_limit(min([count, *(limit for _, limit in _active_limits)]))
        if not _active_limits:
            _original_limits.callback(limits.restore_original_limits)
        _active_limits.append(block)
    try:
        yield
    finally:
        with _lock:
            _active_limits.remove(block)
            if _active_limits:
                _set_limit(min(limit for _, limit in _active_limits))
            else:
                _release_blas()
                _original_limits.close()
                _release_blas()


def _set_limit(count: int) -> Any:
    """Set the limit of the process; return what restores the limits before."""
    _release_blas()
    return _find_blas(len(sys.modules)).limit(limits=count)


@functools.lru_cache(maxsize=1)
def _find_blas(modules: int) -> Any:
    """Return what controls the BLAS libraries of this process, which can be more after further imports.

    To look for them takes as long as many a prediction.
    """
    from threadpoolctl import ThreadpoolController  # imported here to keep `import minicnn` fast

    return ThreadpoolController().select(user_api="blas")


def _release_blas() -> None:
    """Let this thread set limits: threadpoolctl 3.8 ignores all but the first that did, while it lives.

    Limits of several threads are settled here, in `_active_limits`.
    """
    from threadpoolctl import OpenBLASController

    release = getattr(OpenBLASController, "clear_controlling_thread", None)
    if release is not None:
        release(force=True)


def _forget_other_threads() -> None:
    """In a forked process, only the thread that called `fork` continues."""
    _active_limits[:] = [block for block in _active_limits if block[0] == threading.get_ident()]
    _lock.release()


if hasattr(os, "register_at_fork"):  # the fork waits until no other thread sets limits
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_forget_other_threads
    )
