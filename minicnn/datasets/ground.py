"""The ground that images stand on, beside the value that an augmentation puts outside of them."""

import warnings
from typing import Any

import numpy as np

_LOOKED_AT = 32  # images
_PLAIN, _NEAR, _FAR = 0.9, 0.02, 0.1  # a share of the border; parts of the range of values


def warn_of_ground(images: np.ndarray, background: Any) -> None:
    """Warn if images (N, H, W, C) stand on a plain ground that is far from the background, a number.

    Moved by an augmentation, they would get borders that no other image has.
    """
    if not isinstance(background, int | float):
        return
    some = images[:_LOOKED_AT].astype(np.float64)
    sides = some[:, 0], some[:, -1], some[:, :, 0], some[:, :, -1]
    border = np.concatenate([side.ravel() for side in sides])
    ground, extent = float(np.median(border)), float(np.ptp(some))
    is_plain = (np.abs(border - ground) <= _NEAR * extent).mean() >= _PLAIN
    if is_plain and abs(ground - background) > _FAR * extent > 0:
        warnings.warn(
            f"most images have the value {ground:g} along their border, but background={background:g} is put "
            f"outside of them: pass background={ground:g}, or background='edge'",
            stacklevel=3,
        )
