"""What an augmentation of the user's must not do: other shapes, another order, NumPy's global stream."""

import contextlib
from collections.abc import Callable

import numpy as np

from minicnn.errors import noted
from minicnn.safeguards.global_random import no_global_random
from minicnn.safeguards.user_code import is_own
from minicnn.validation import check_numbers

_EARLY = 8  # steps in which the order of augmented images is looked at


def augmented(augment: Callable, x: np.ndarray, seeds: list[int]) -> np.ndarray:
    """Return augmented images, of a random stream of these seeds: [seed, epoch, number of the step, rank]."""
    is_first = seeds[1:] == [0, 1, 0]  # of a training
    is_early = seeds[1] == 0 and seeds[2] <= _EARLY and is_own(augment)
    before = _digests(x) if is_early else []
    with no_global_random("`augment`") if is_first else contextlib.nullcontext():
        x = _checked(augment, x, np.random.default_rng(seeds))
    if is_early:
        _require_order(before, _digests(x))
    return x


def _checked(augment: Callable, x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what `augment` makes of images, if these are as many of the same shape."""
    with noted("in `augment`"):
        images = augment(x, rng)
    if not isinstance(images, np.ndarray):
        raise TypeError(f"`augment(images, rng)` must be an array of numbers, got {type(images).__name__}")
    images = check_numbers(images, "augment(images, rng)")
    if images.shape != x.shape:
        raise ValueError(
            f"what `augment` returns must have the shape {x.shape} of what it was given, got {images.shape}"
        )
    return images


def _digests(images: np.ndarray) -> list[int]:
    return [hash(image.tobytes()) for image in images]


def _require_order(before: list[int], after: list[int]) -> None:
    """Raise ValueError if these are the same images in another order, which have other labels then."""
    if before != after and sorted(before) == sorted(after):
        raise ValueError(
            "what `augment` returns must have the order of what it was given, since labels are not "
            "reordered; the first axis counts the images, so `images[:, :, ::-1]` mirrors each"
        )
