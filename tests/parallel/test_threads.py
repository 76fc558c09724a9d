"""The number of threads that BLAS uses."""

import threading

from threadpoolctl import threadpool_info, threadpool_limits

from minicnn.parallel.threads import blas_threads


def blas_pool_sizes():
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


def in_a_thread(function):
    """Return the result of a function that runs in another thread."""
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def sizes_while_limited(count):
    with blas_threads(count):
        return blas_pool_sizes()


def test_the_last_blas_limit_to_end_restores_the_threads():
    with threadpool_limits(3, "blas"):
        first, second = blas_threads(2), blas_threads(1)
        first.__enter__()
        assert blas_pool_sizes() == {2}
        second.__enter__()
        assert blas_pool_sizes() == {1}
        first.__exit__(None, None, None)  # the first that began ends first
        assert blas_pool_sizes() == {1}
        second.__exit__(None, None, None)
        assert blas_pool_sizes() == {3}


def test_each_thread_can_limit_blas_whoever_did_before():
    with threadpool_limits(3, "blas"):  # the main thread has set a limit, and lives
        assert sizes_while_limited(2) == {2}
        assert in_a_thread(lambda: sizes_while_limited(1)) == {1}
        assert blas_pool_sizes() == {3}
        outer = blas_threads(2)
        outer.__enter__()
        assert in_a_thread(lambda: sizes_while_limited(1)) == {1}
        assert blas_pool_sizes() == {2}
        in_a_thread(lambda: outer.__exit__(None, None, None))  # the first thread lives, another one restores
        assert blas_pool_sizes() == {3}


def test_a_limit_leaves_other_libraries_in_control():
    with threadpool_limits(3, "blas"):
        sizes_while_limited(1)

        def other_library():
            with threadpool_limits(2, "blas"):
                return blas_pool_sizes()

        assert in_a_thread(other_library) == {2}
