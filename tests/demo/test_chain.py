import numpy as np
import pytest

from minicnn.demo.chain import chain
from minicnn.insight import Trace
from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool2D,
    LocalResponseNorm,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
    Upsampling2D,
    ZeroPadding2D,
)
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample

NETS = {
    "conv": ([Conv2D(4, (3, 2), strides=(2, 1), padding="same"), ReLU(), Conv2D(2, 2)], (9, 8, 2)),
    "dilated": ([Conv2D(3, 3, dilation=(2, 1), padding=((3, 0), (1, 2)))], (7, 7, 1)),
    "groups": ([Conv2D(4, 3, groups=2), BatchNorm(), Conv2D(4, 1, groups=4)], (6, 6, 4)),
    "pool": ([Pool2D(3, strides=2, mode="avg", padding="same"), Pool2D((2, 1), mode="avg")], (9, 9, 2)),
    "historic": ([Subsample(), PartialConv2D([(0, 2), (1,), (0, 1)], 2)], (8, 8, 3)),
    "resize": ([ZeroPadding2D((1, 2)), Upsampling2D(3), Conv2D(2, 2, strides=2)], (5, 4, 2)),
    "residual": ([Residual([Conv2D(2, 3, padding="same")]), Residual([Conv2D(2, 1)])], (5, 6, 2)),
    "head": ([Conv2D(3, 2), Flatten(), Dense(4), Dense(2)], (4, 4, 1)),
    "flat": ([Conv2D(3, 2), Flatten()], (4, 4, 1)),
    "global": ([Conv2D(5, 2, groups=5), LocalResponseNorm(3), GlobalAveragePool2D()], (4, 4, 5)),
}


@pytest.mark.parametrize("name", NETS)
def test_chain_is_where_the_gradient_of_a_cell_is_not_zero(name):
    """With positive weights and inputs, nothing cancels: the gradient shows what a cell depends on."""
    layers, shape = NETS[name]
    model = Sequential(layers).build(shape, rng=0, dtype=np.float64)
    rng = np.random.default_rng(0)
    for parameter in model.parameters():
        parameter.value = rng.uniform(0.5, 1, parameter.shape)
    x = rng.uniform(0.5, 1, (1, *shape))
    for cell in rng.permutation(np.argwhere(np.ones(model.output_shape)))[:12]:
        trace = Trace(model, x)
        dy = np.zeros_like(trace.outputs[-1])
        dy[0][tuple(cell)] = 1
        gradients = [dx[0] != 0 for dx in (*trace.backward(dy)[::-1][1:], trace.dx)]
        for part, seen in zip(chain(trace.layers, tuple(map(int, cell))), gradients, strict=True):
            if name == "dilated":  # a box holds the cells between, too
                seen = filled(seen)
            expected = np.zeros_like(seen)
            maps = expected if expected.ndim == 3 else expected[np.newaxis, np.newaxis]  # a view
            bottom, right = part["top"] + part["rows"], part["left"] + part["columns"]
            maps[part["top"] : bottom, part["left"] : right, part["channels"] or slice(None)] = True
            np.testing.assert_array_equal(expected, seen, err_msg=f"{cell} {part}")


def filled(cells):
    """Return the smallest box around the cells that are true."""
    box = np.zeros_like(cells)
    box[tuple(slice(axis.min(), axis.max() + 1) for axis in cells.nonzero())] = True
    return box


def test_chain_of_a_cell_of_padding_is_empty():
    model = Sequential([ZeroPadding2D(2)]).build((3, 3, 1), rng=0)
    (part,) = chain(model.layers, (0, 6, 0))
    assert (part["rows"], part["columns"]) == (0, 0)


def test_chain_of_a_layer_that_is_not_known_is_its_whole_input():
    class Mix(Conv2D):
        """Any layer of the user's own."""

    model = Sequential([Mix(2, 1)]).build((3, 4, 2), rng=0)
    assert chain(model.layers, (0, 0, 1)) == [
        {"stage": 0, "top": 0, "left": 0, "rows": 3, "columns": 4, "channels": None}
    ]
