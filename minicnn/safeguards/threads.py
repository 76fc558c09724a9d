"""For which thread a thread works: those that compute shards work for that of the fit."""

import threading

_local = threading.local()


def serve(thread: int) -> None:
    """Let the current thread compute shards for the fit in `thread`."""
    _local.serves = thread


def current_thread() -> int:
    """Return the ident of this thread, or of that for which it computes."""
    return getattr(_local, "serves", None) or threading.get_ident()
