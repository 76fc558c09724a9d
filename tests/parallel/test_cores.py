"""How many cores there are to use, and how many BLAS uses."""

import math
import os

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from minicnn.parallel import cores
from minicnn.parallel.cores import _share_of_cores, available_threads, blas_threads


@pytest.mark.parametrize(
    ("files", "share"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ({"cpu.max": "1 2\n"}, 0.5),
        ({"cpu.max": "0 100000\n"}, math.inf),
        ({"cpu.max": "100000 0\n"}, math.inf),
        ({"cpu.max": "3 1", "cpu/cpu.cfs_quota_us": "2", "cpu/cpu.cfs_period_us": "1"}, 3.0),
        ({"cpu.max": "what is this"}, math.inf),
        ({}, math.inf),
    ],
)
def test_the_share_of_a_container_is_what_the_system_says(tmp_path, files, share):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _share_of_cores(tmp_path) == share


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="other systems have no affinity")
@pytest.mark.parametrize(
    ("count", "share", "threads"),
    [(8, math.inf, 8), (8, 2.0, 2), (8, 1.5, 2), (8, 0.25, 1), (1, 4.0, 1)],
)
def test_no_more_threads_than_cores_or_a_containers_share(monkeypatch, count, share, threads):
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda pid: set(range(count)))
    monkeypatch.setattr(cores, "_share_of_cores", lambda: share)
    assert available_threads() == threads


def test_blas_has_its_threads_again_when_the_last_of_several_that_limit_it_ends():
    def now():
        return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}

    with threadpool_limits(3, "blas"):
        first, second = blas_threads(2), blas_threads(1)
        first.__enter__()
        assert now() == {2}
        second.__enter__()
        assert now() == {1}
        first.__exit__(None, None, None)  # not the last that came
        assert now() == {1}
        second.__exit__(None, None, None)
        assert now() == {3}
