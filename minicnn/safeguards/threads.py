"""For which thread a thread works: those that compute shards work for that of the fit."""

import threading


class _Local(threading.local):
    serves = 0  # the ident of the thread of a fit


_local = _Local()


def serve(thread: int) -> None:
    """Let the current thread compute shards for the fit in `thread`."""
    _local.serves = thread


def current_thread() -> int:
    """Return the ident of this thread, or of that for which it computes."""
    return _local.serves or threading.get_ident()
