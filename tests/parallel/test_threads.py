"""The number of threads that BLAS uses."""

from threadpoolctl import threadpool_info, threadpool_limits

from minicnn.parallel.threads import blas_threads


def test_the_last_blas_limit_to_end_restores_the_threads():
    def blas_pool_sizes():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

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
