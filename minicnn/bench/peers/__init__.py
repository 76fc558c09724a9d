"""LeNet-5 and single convolutions in each framework; `minicnn.bench.worker` loads these files by path.

Except `minicnn_peer`, they import nothing of this package, so that they run where only the framework is
installed. Each `Peer(weights, threads)` has the methods of the one in `minicnn_peer`, or some of them.
"""
