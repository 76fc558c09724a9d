"""How a training of data of the user's own is set up by default: by the number of its images.

Batches of 128 leave a hundred pictures with one step an epoch, and the net untrained.
`pytest -n 0 -s -m campaign tests/runs/test_defaults.py` measures both on letters, 60 to 2,000 of them.
"""

import math

EPOCHS, BATCH_SIZE = 15, 128  # of data sets by name, and of large ones
SMALLEST_BATCH = 8
STEPS_PER_EPOCH, STEPS = 50, 500  # at least


def default_batch_size(images: int) -> int:
    """Return the largest power of two from 8 to 128 that makes at least 50 steps an epoch.

    >>> [default_batch_size(images) for images in (100, 2_000, 6_400, 60_000)]
    [8, 32, 128, 128]
    """
    size = BATCH_SIZE
    while size > SMALLEST_BATCH and images < STEPS_PER_EPOCH * size:
        size //= 2
    return size


def default_epochs(images: int, batch_size: int) -> int:
    """Return 15, or as many as make 500 steps.

    >>> default_epochs(100, 8), default_epochs(2_000, 32)
    (39, 15)
    """
    steps = max(math.ceil(images / batch_size), 1)
    return max(EPOCHS, math.ceil(STEPS / steps))
