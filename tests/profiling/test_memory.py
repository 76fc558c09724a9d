import subprocess
import sys

import numpy as np


def test_peak_memory_counts_what_is_free_again_and_not_the_parents():
    parents = np.ones(400_000_000, np.uint8)
    code = """
import numpy as np
from minicnn.profiling import peak_memory_mb
block = np.ones(150_000_000, np.uint8)
del block
print(peak_memory_mb())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert parents.all()
    assert 150 < float(result.stdout) < 350
