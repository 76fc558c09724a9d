"""The benchmark: minicnn beside Keras, PyTorch, and other frameworks in NumPy, on this machine, in one run.

What makes it fair, and repeatable: each framework runs in a process of its own; all have the same cores, the
same float32 images of MNIST, batch sizes, first weights and Adam; what is warm is warmed up first, and what
is cold (start, memory) gets a fresh process each time. Frameworks take turns, round by round, so that
whatever else the machine does meets all of them; a ratio compares two values of the same round, and is told
as the median over the rounds, with the smallest and the largest.
"""

from minicnn.bench.plan import PEERS, SUBJECTS
from minicnn.bench.report import bench_text
from minicnn.bench.run import bench

__all__ = ["PEERS", "SUBJECTS", "bench", "bench_text"]
