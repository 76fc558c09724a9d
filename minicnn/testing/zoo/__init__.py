"""The zoo: broken layers with one bug each, taken from bugs in real projects.

`ZOO` maps the name of each class to a `Specimen`: the layer, an input shape, and the check that rejects it.

>>> from minicnn.testing.zoo import ZOO
>>> print(ZOO["FlippedKernelInDx"].bug)
For dx, the kernel is flipped once too often.
"""

# Importing these modules fills ZOO.
from minicnn.testing.zoo import (  # noqa: F401
    activations,
    chance,
    convolutions,
    corners,
    curves,
    expectations,
    loops,
    memory,
    mixing,
    normalizations,
    numerics,
    pooling,
    rare,
    sharing,
    statistics,
)
from minicnn.testing.zoo.specimen import ZOO, Specimen

__all__ = ["ZOO", "Specimen"]
