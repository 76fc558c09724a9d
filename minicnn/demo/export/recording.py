"""What the layers compute for some images, in two bytes a value."""

import gzip

import numpy as np

from minicnn.demo.session import Session
from minicnn.insight import Trace

NOT_FINITE = "the network's numbers are not finite, so there is nothing to show"
_WHOLE = 32767  # of two bytes


def record(session: Session, image: np.ndarray) -> tuple[bytes, list[float]]:
    """Return the outputs of all layers for an image, and the largest value of each.

    The outputs are int16 in steps of a 32,767th of the largest, so that zero stays zero; packed by gzip.
    """
    trace = Trace(session.model, session.inputs.to_batch(image))
    if not all(np.isfinite(output).all() for output in trace.outputs):
        raise ValueError(NOT_FINITE)
    largest = [float(abs(output).max(initial=0.0)) for output in trace.outputs]
    steps = [
        np.rint(output.ravel() * (_WHOLE / size)) if size else output.ravel()
        for output, size in zip(trace.outputs, largest, strict=True)
    ]
    return gzip.compress(np.concatenate(steps).astype("<i2").tobytes(), mtime=0), largest
