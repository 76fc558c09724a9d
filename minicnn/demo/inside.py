"""The arithmetic of one cell: the factors, products, sums and maxima behind its value.

A *stage* is a picture on the page: stage 0 is the input, stage i the output of layer i - 1.
"""

from typing import Any

import numpy as np

from minicnn.demo.arithmetic import EXPLAINERS, explain_other
from minicnn.demo.chain import chain
from minicnn.insight import Trace
from minicnn.layers import Dense, Flatten, Layer, ReLU


def explain(trace: Trace, stage: int, cell: tuple[int, ...]) -> dict[str, Any]:
    """Return how a cell of a stage was computed.

    Parameters
    ----------
    trace : Trace
        The trace of a batch of one image.
    stage : int
        At least 1: the output of layer `stage` - 1.
    cell : tuple of int
        Row, column and channel; of a vector, its index.

    Returns
    -------
    dict
        In types that JSON has. `kind` names the arithmetic, see `EXPLAINERS`, or is "other"; `source` is the
        stage that it was computed from, `value` the result. If a ReLU follows, or the stage is a ReLU, `relu`
        is its output. `chain` is what the cell sees of each stage before, see `chain.chain`.
    """
    layers, stages = trace.layers, [trace.x, *trace.outputs]
    requested = stage
    if isinstance(layers[stage - 1], ReLU) and stage > 1:
        stage -= 1  # a ReLU is explained together with the layer before it
    layer, x, value = layers[stage - 1], stages[stage - 1][0], float(stages[stage][0][cell])
    found = EXPLAINERS.get(type(layer), explain_other)(layer, x, cell)
    source = stage - 1
    if isinstance(layer, Dense):
        source = maps_before(layers, source)
        for part in found.get("strongest", ()):
            part["cell"] = [int(i) for i in np.unravel_index(part["input"], stages[source].shape[1:])]
    if stage < len(layers) and isinstance(layers[stage], ReLU):
        found["relu"] = float(stages[stage + 1][0][cell])
    place = {"stage": requested, "source": source, "cell": list(cell), "value": value}
    return found | place | {"chain": chain(layers[:requested], cell)}


def maps_before(layers: list[Layer], stage: int) -> int:
    """Return the stage with the maps that a Flatten made into this one; without a Flatten, this one."""
    while stage and isinstance(layers[stage - 1], Flatten):
        stage -= 1
    return stage
