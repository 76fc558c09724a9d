"""The nets and single convolutions of the benchmarks in each framework; the worker loads them by path.

Except `minicnn_peer`, they import nothing of this package, so that they run where only the framework is
installed. Each `Peer(net, weights, threads)` has the methods of the one in `minicnn_peer`, or some of them.
A class with `LAYOUTS` takes one of these memory layouts as a further argument.
"""
