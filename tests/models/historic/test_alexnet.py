import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from minicnn import Conv2D, Dense, Dropout
from minicnn.interop.keras import to_keras
from minicnn.models import alexnet

COUNT = Path(__file__).parents[3] / "examples" / "alexnet" / "count.py"
LAYERS = [
    *("Conv2D", "ReLU", "LocalResponseNorm", "Pool2D") * 2,
    *("Conv2D", "ReLU") * 3,
    *("Pool2D", "Flatten"),
    *("Dense", "ReLU", "Dropout") * 2,
    "Dense",
]


def small(groups=2, dtype="float32"):
    """Filters and units a sixteenth of the paper's, and the smallest images that fit."""
    return alexnet(10, groups, width=1 / 16).build((67, 67, 3), rng=0, dtype=dtype)


@pytest.mark.ci
def test_count_finds_the_numbers_of_the_paper(capsys):
    runpy.run_path(str(COUNT))["main"]([])
    lines = capsys.readouterr().out.splitlines()
    numbers = [re.findall(r" ([\d,]+)", line) for line in lines[:10]]
    rows = [[int(number.replace(",", "")) for number in line] for line in numbers]
    # By hand: (rows * columns * channels of a group + 1) * filters, (inputs + 1) * outputs.
    assert [row[-4] for row in rows[1:9]] == [
        (11 * 11 * 3 + 1) * 96,
        (5 * 5 * 48 + 1) * 256,
        (3 * 3 * 256 + 1) * 384,
        (3 * 3 * 192 + 1) * 384,
        (3 * 3 * 192 + 1) * 256,
        (6 * 6 * 256 + 1) * 4096,
        (4096 + 1) * 4096,
        (4096 + 1) * 1000,
    ]
    # Of neurons all but those of the first layer are as Figure 2 has them.
    assert [row[-2] for row in rows[2:9]] == [row[-1] for row in rows[2:9]]
    assert rows[9] == [60_965_224, 724_406_816, 659_272, 622_312]


def test_alexnet_has_the_layers_of_the_paper():
    model = small()
    assert [type(layer).__name__ for layer in model] == LAYERS
    convolutions = [layer for layer in model if isinstance(layer, Conv2D)]
    assert [(layer.filters, layer.kernel_size, layer.groups) for layer in convolutions] == [
        *((6, 11, 1), (16, 5, 2), (24, 3, 1), (24, 3, 2), (16, 3, 2)),
    ]
    assert {layer.groups for layer in small(groups=1) if isinstance(layer, Conv2D)} == {1}


def test_alexnet_starts_as_in_the_paper():
    weighted = [layer for layer in small() if isinstance(layer, Conv2D | Dense)]
    for layer, bias in zip(weighted, [0, 1, 0, 1, 1, 1, 1, 0], strict=True):
        values = layer.kernel.value
        assert abs(values.mean()) < 4 * 0.01 / np.sqrt(values.size)
        assert values.std() == pytest.approx(0.01, rel=0.05)
        assert (layer.bias.value == bias).all()


@pytest.mark.parametrize("groups", [1, 2])
def test_alexnet_and_its_gradients_are_those_of_its_twin_in_keras(groups):
    model = small(groups, "float64")
    for layer in model:
        if isinstance(layer, Dropout):  # whose random numbers Keras has not
            layer.rate = 0.0
    twin, rng = to_keras(model), np.random.default_rng(0)
    x, dy = rng.normal(0, 60, (2, 67, 67, 3)), rng.standard_normal((2, 10))
    tensor = tf.constant(x)
    with tf.GradientTape() as tape:
        tape.watch(tensor)
        expected = twin(tensor, training=True)
    variables = [variable.value for variable in twin.trainable_variables]
    gradients = tape.gradient(expected, [tensor, *variables], output_gradients=tf.constant(dy))
    np.testing.assert_allclose(model.train()(x), expected, rtol=1e-9)
    ours = [model.backward(dy), *(parameter.grad for parameter in model.parameters())]
    for gradient, theirs in zip(ours, gradients, strict=True):
        np.testing.assert_allclose(gradient, theirs, rtol=1e-8, atol=1e-10 * np.abs(theirs).max())


def test_alexnet_refuses_what_does_not_divide():
    with pytest.raises(ValueError, match="`groups` must divide `filters`, got groups=3 and filters=256"):
        alexnet(groups=3)
    with pytest.raises(ValueError, match=r"`width` must be in \(0, inf\), got 0"):
        alexnet(width=0)
    with pytest.raises(ValueError, match="layer 14"):
        alexnet(width=1 / 16).build((66, 66, 3))
