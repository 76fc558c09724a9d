"""Benchmarks of minicnn, Keras, PyTorch and other NumPy frameworks on this machine.

Each framework runs in its own process. All have the same cores, the same float32 images of MNIST, batch
sizes, initial weights and Adam. Warm measurements follow warm-up calls; cold ones (start, memory) get a new
process each time. Frameworks take turns, round by round, so that other load on the machine affects all of
them. A ratio compares two values of the same round; the median over the rounds is reported, with the range.
"""

from minicnn.bench.plan import BENCHMARKS, PEERS
from minicnn.bench.report import bench_text
from minicnn.bench.run import bench

__all__ = ["BENCHMARKS", "PEERS", "bench", "bench_text"]
