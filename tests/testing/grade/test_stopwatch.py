import os
import subprocess
import sys
import time

import pytest

from minicnn.testing.grade.stopwatch import PATIENCE, Stopwatch


def test_time_passes_where_no_core_is_waited_for():
    stopwatch, start = Stopwatch(list), time.monotonic()
    time.sleep(0.05)
    assert 0.05 / PATIENCE <= stopwatch.elapsed() <= time.monotonic() - start + 0.01
    start = time.monotonic()
    stopwatch.restart()
    assert 0 <= stopwatch.elapsed() <= time.monotonic() - start


def test_processes_that_are_gone_do_not_count():
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    assert Stopwatch(lambda: [gone.pid]).elapsed() >= 0


@pytest.mark.skipif(not os.path.exists("/proc/self/schedstat"), reason="the system does not count it")
def test_time_in_which_processes_wait_for_a_core_does_not_count():
    core = min(os.sched_getaffinity(0))
    code = f"import os\nos.sched_setaffinity(0, [{core}])\nwhile True: pass"
    busy = [subprocess.Popen([sys.executable, "-S", "-c", code]) for _ in range(3)]
    try:
        stopwatch, start = Stopwatch(lambda: [busy[0].pid]), time.monotonic()
        while stopwatch.elapsed() > 0.8 * (time.monotonic() - start) and time.monotonic() - start < 30:
            time.sleep(0.01)
        passed = time.monotonic() - start
        assert passed / PATIENCE <= stopwatch.elapsed() < 0.9 * passed
    finally:
        for process in busy:
            process.kill()
            process.wait()
