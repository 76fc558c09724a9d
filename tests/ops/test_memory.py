import platform
import subprocess
import sys

import pytest

# A large array, made and freed again and again: how often must the system give pages for it?
FAULTS = """
import resource
import numpy as np
{}

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

def use():
    [np.ones(1 << 20, np.uint8) for _ in range(4)]

use()
before = faults()
for _ in range(20):
    use()
print((faults() - before) / 20)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries do as they always do")
def test_freed_memory_is_kept():
    def measure(line):
        done = subprocess.run([sys.executable, "-c", FAULTS.format(line)], capture_output=True, check=True)
        return float(done.stdout)

    assert measure("") > 100
    assert measure("import minicnn") < 10
