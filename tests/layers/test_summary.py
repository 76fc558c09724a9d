import numpy as np

from minicnn import Dense, Layer, Parameter, Sequential


class Hoards(Layer):
    """Caches in every way that counts: x twice, a view of it, and arrays in containers of containers."""

    def init_params(self, input_shape, rng):
        self.frozen = Parameter(np.ones(1500), trainable=False)

    def forward(self, x):
        with_infinity = 1 / x  # the summary runs zeros through the model
        self.cache = {"x": x, "more": [x[:, :2], (np.zeros(3),)], "no array": len(with_infinity)}
        return x


def test_summary_is_this_table():
    model = Sequential([Hoards(), Dense(1000), Sequential([Dense(2), Dense(3)])]).build((4,), rng=0)
    # Hoards caches 4 floats of 4 bytes, and 3 of 8. The first Dense caches the same x, which counts once.
    assert model.summary().splitlines() == [
        "layer         output shape  parameters   MACs  bytes cached",
        "-----------------------------------------------------------",
        "0 Hoards      (4,)               1,500      0            40",
        "1 Dense       (1000,)            5,000  4,000             0",
        "2 Sequential  (3,)               2,011  2,006         4,008",
        "-----------------------------------------------------------",
        "total                            8,511  6,006         4,048",
        "1,500 of the parameters are not trainable",
    ]


def test_frozen_layers_below_the_lowest_weight_cache_nothing():
    model = Sequential([Dense(5), Dense(4), Dense(3)]).build((8,), rng=0)
    model[:2].trainable = False
    cached = [line.split()[-1] for line in model.summary().splitlines()[2:5]]
    assert cached == ["0", "0", "16"]  # the input of the head, 4 floats of 4 bytes
    assert all(layer.needs_dx for layer in model)


def test_summary_of_no_layers_is_zeros():
    lines = Sequential().build((3,)).summary().splitlines()
    assert lines[0].startswith("layer  output shape")
    assert lines[-1].split() == ["total", "0", "0", "0"]
    assert len(lines) == 4
