"""Ten patches of an image, and the mean of the ten answers: the test-time averaging of section 4.1.

The paper cuts 224x224 patches from 256x256 images. Images of 28x28 have nothing to cut off, but their border
is empty: here a patch is the image moved by some pixels, with zeros where nothing came in.
"""

import numpy as np

from minicnn.ops import softmax
from minicnn.training import Trainer

MIRROR = (slice(None), slice(None), slice(None, None, -1))


def moved(images: np.ndarray, down: int, right: int) -> np.ndarray:
    """Return the images (N, H, W, C) moved by whole pixels, zeros coming in."""
    height, width = images.shape[1:3]
    margin = max(abs(down), abs(right))
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    top, left = margin - down, margin - right
    return padded[:, top : top + height, left : left + width]


def ten_patches(images: np.ndarray, shift: int = 2) -> list[np.ndarray]:
    """Return the centre patch, the four corner patches, and the mirror image of each."""
    corners = [(down, right) for down in (-shift, shift) for right in (-shift, shift)]
    five = [moved(images, *corner) for corner in [(0, 0), *corners]]
    return [view for patch in five for view in (patch, patch[MIRROR])]


def mean_answer(trainer: Trainer, patches: list[np.ndarray]) -> np.ndarray:
    """Return the mean over the patches of the class probabilities, (N, classes)."""
    return np.mean([softmax(trainer.predict(patch)) for patch in patches], axis=0)
