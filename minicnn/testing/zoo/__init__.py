"""The zoo: layers with one bug each, all taken from bugs that real projects have had.

`ZOO` maps the class's name to a `Specimen`: the layer, an input shape, the check that must reject it.

>>> from minicnn.testing.zoo import ZOO
>>> print(ZOO["FlippedKernelInDx"].bug)
The kernel is flipped once too often on the way back to dx.
"""

from minicnn.testing.zoo import activations, convolutions, memory, normalizations, pooling, rare
from minicnn.testing.zoo.specimen import ZOO, Specimen

__all__ = ["ZOO", "Specimen", "activations", "convolutions", "memory", "normalizations", "pooling", "rare"]
