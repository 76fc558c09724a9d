"""Clipping of gradients by their joint norm."""

from __future__ import annotations

import math

import numpy as np

BLOCK = 1 << 16  # values whose squares BLAS adds in their own precision


def clip_scale(grads: list[np.ndarray], clip_norm: float) -> float:
    """Return the factor that makes the joint norm of gradients (n,) at most `clip_norm`."""
    parts = [grad[start : start + BLOCK] for grad in grads for start in range(0, grad.size, BLOCK)]
    norm = math.sqrt(sum(float(np.vdot(part, part)) for part in parts))
    if not math.isfinite(norm):  # perhaps only the squares overflowed
        largest = max(float(np.abs(grad).max(initial=0.0)) for grad in grads)
        if not math.isfinite(largest):
            return math.nan
        norm = largest * math.sqrt(sum(float(np.square(grad / largest).sum()) for grad in grads))
    return clip_norm / max(norm, clip_norm) if math.isfinite(norm) else math.nan
