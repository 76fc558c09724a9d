"""LeNet-5 and single convolutions in each framework; `minicnn.bench.worker` loads these files by their path.

So that they also run where only that framework is installed, they import nothing of this package (but for
`minicnn_peer`). A `Peer(weights, threads)` has the methods of the one in `minicnn_peer`, or some of them.
"""
