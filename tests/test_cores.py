"""The number of cores this process may use."""

import math
import os

import pytest

from minicnn import cores
from minicnn.cores import _cpu_quota, available_threads


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"cpu.max": "150000 100000\n"}, 1.5),
        ({"cpu.max": "max 100000\n"}, math.inf),
        ({"cpu/cpu.cfs_quota_us": "200000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 2.0),
        ({"cpu/cpu.cfs_quota_us": "-1\n", "cpu/cpu.cfs_period_us": "100000\n"}, math.inf),
        ({"cpu.max": "1 2\n"}, 0.5),
        ({"cpu.max": "0 100000\n"}, math.inf),
        ({"cpu.max": "100000 0\n"}, math.inf),
        ({"cpu.max": "3 1", "cpu/cpu.cfs_quota_us": "2", "cpu/cpu.cfs_period_us": "1"}, 3.0),
        ({"cpu.max": "nonsense"}, math.inf),
        ({}, math.inf),
    ],
)
def test_the_cpu_quota_of_a_container_is_read(tmp_path, files, quota):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert _cpu_quota(tmp_path) == quota


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="other systems have no affinity")
@pytest.mark.parametrize(
    ("affinity", "quota", "threads"),
    [(8, math.inf, 8), (8, 2.0, 2), (8, 1.5, 2), (8, 0.25, 1), (1, 4.0, 1)],
)
def test_available_threads_respects_affinity_and_quota(monkeypatch, affinity, quota, threads):
    monkeypatch.setattr(cores.os, "sched_getaffinity", lambda pid: set(range(affinity)))
    monkeypatch.setattr(cores, "_cpu_quota", lambda: quota)
    assert available_threads() == threads
