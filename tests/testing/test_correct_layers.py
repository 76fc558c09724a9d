"""No false alarms: layers of the package and layers as users write them, fixed and drawn."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import (
    ELU,
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    GroupNorm,
    Layer,
    LeakyReLU,
    LocalResponseNorm,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    Upsampling2D,
    ZeroPadding2D,
)
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample
from minicnn.testing import LayerCheckError, check_layer
from minicnn.testing.contract import _is_coarse
from minicnn.testing.correct_layers import (
    GELU,
    ConvTanh,
    CReLU,
    DepthwiseConv2D,
    InstanceNorm,
    LayerNorm,
    Maxout,
    PReLU,
    ResidualBlock,
    Scale,
    SqueezeExcite,
    Tied,
    TransposedConv2D,
)
from minicnn.testing.layer_under_test import LayerUnderTest
from minicnn.testing.strategies import image_shapes, layer_cases

USERS = [
    (ResidualBlock(1), (1, 2, 3)),
    (Scale(), (3, 2)),
    (PReLU(), (4, 4, 3)),
    (GELU(), (7,)),
    (LayerNorm(), (3, 3, 4)),
    (LayerNorm(eps=1e-6), (2,)),
    (InstanceNorm(), (3, 3, 2)),
    (DepthwiseConv2D(3, 2), (6, 5, 3)),
    (Sequential([Conv2D(3, 3), InstanceNorm(), ReLU()]), (6, 6, 2)),  # the bias's gradient vanishes
    (TransposedConv2D(2, 2), (4, 5, 3)),  # sees the odd row before, where a convolution sees it after
    (TransposedConv2D(2, 5, padding="valid"), (4, 4, 1)),
    (SqueezeExcite(2), (4, 4, 3)),
    (ResidualBlock(4), (5, 5, 2)),
    (ConvTanh(), (5, 5, 2)),
    (CReLU(), (4, 3, 2)),
    (Maxout(3), (5,)),
    (Subsample(), (6, 6, 2)),
    (PartialConv2D(((0, 1), (1, 2), (0,)), 3), (5, 5, 3)),
    (Sequential([Conv2D(3, 3), ReLU(), Pool2D(3, 2), Flatten(), Dense(4)]), (9, 9, 1)),
    (Sequential([Pool2D(3, 1, "same"), ReLU(), Conv2D(2, 3)]), (6, 6, 2)),
    (Sequential([Conv2D(6, 3), ReLU(), LocalResponseNorm(3, 1.0, 0.5), Pool2D(3, 2)]), (7, 7, 2)),
    (Sequential([Dense(4), BatchNorm(), ReLU(), Dropout(0.5), Dense(3), Softmax()]), (5,)),
]


@pytest.mark.parametrize(("layer", "shape"), USERS, ids=lambda value: " ".join(repr(value).split()))
def test_correct_layers_pass(layer, shape):
    check_layer(layer, shape)


def test_tied_weights_are_refused_loudly():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(Tied(), (3,))
    assert caught.value.checks == ["build"]
    assert "tied weights are not supported" in str(caught.value)


sizes = st.integers(1, 3)
chains = st.sampled_from(
    [
        lambda n: Sequential([Conv2D(n, 1), ReLU(), Pool2D(1), Flatten(), Dense(2)]),
        lambda n: Sequential([ReLU(), Conv2D(n, 2, padding="same", use_bias=False), ReLU()]),
        lambda n: Sequential([Conv2D(n, 2, padding="same"), BatchNorm(), LeakyReLU(), GlobalAveragePool2D()]),
        lambda n: Sequential([Pool2D(2, 1, "same"), Pool2D(2, 1, "same"), Conv2D(n, 1)]),
        lambda n: Sequential([Dropout(0.3), ReLU(), Dense(n), Softmax()]),
        lambda n: Residual([Conv2D(n, 3, padding="same"), ReLU()], shortcut=[Conv2D(n, 1), BatchNorm()]),
        lambda n: Concatenate(
            [[], Sequential([Conv2D(n, 1), SiLU()]), [Residual(ReLU()), Pool2D(2, 1, "same")]]
        ),
    ]
)
CASES = st.one_of(
    layer_cases(Conv2D, kernel_initializer=st.just(Conv2D(1, 1).kernel_initializer)),
    layer_cases(Pool2D, ties=st.sampled_from(["first", "all", "split"])),
    *[layer_cases(kind) for kind in (ReLU, LeakyReLU, Tanh, Sigmoid, Softmax, Dropout, Flatten, BatchNorm)],
    *[layer_cases(kind) for kind in (Dense, Scale, PReLU, GELU, LayerNorm, Maxout, CReLU)],
    *[layer_cases(kind, image_shapes()) for kind in (GlobalAveragePool2D, ConvTanh, SqueezeExcite)],
    layer_cases(ResidualBlock),
    layer_cases(ELU, alpha=st.sampled_from([0.0, 0.5, 1.0, 2.0])),
    layer_cases(minicnn.GELU, approximate=st.booleans()),
    layer_cases(minicnn.PReLU, initial_slope=st.floats(-1, 1), shared=st.booleans()),
    layer_cases(SiLU),
    layer_cases(GlobalMaxPool2D, image_shapes(), ties=st.sampled_from(["first", "all", "split"])),
    layer_cases(Upsampling2D, image_shapes(), size=sizes | st.tuples(sizes, sizes)),
    layer_cases(ZeroPadding2D, image_shapes(), padding=st.tuples(*[st.tuples(sizes, sizes)] * 2)),
    *[
        layer_cases(kind, scale=st.booleans(), center=st.booleans(), eps=st.sampled_from([1e-3, 0.1]))
        for kind in (BatchNorm, GroupNorm, minicnn.LayerNorm)
    ],
    layer_cases(
        LocalResponseNorm,
        image_shapes(channels=7),
        size=st.sampled_from([1, 3, 5, 9]),
        k=st.sampled_from([0.5, 1.0, 2.0]),
        alpha=st.sampled_from([0.0, 1e-4, 0.5]),
        beta=st.sampled_from([0.5, 0.75, 1.0]),
    ),
    *[
        layer_cases(kind, kernel_size=sizes, strides=sizes, padding=st.sampled_from(["valid", "same"]))
        for kind in (DepthwiseConv2D, TransposedConv2D)
    ],
    layer_cases(lambda chain, n: chain(n), image_shapes(), chain=chains, n=sizes),
)


@settings(max_examples=40, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES)
def test_drawn_cases_raise_no_false_alarm(case):
    case.check()


@pytest.mark.campaign
@settings(max_examples=20_000, suppress_health_check=[HealthCheck.too_slow])
@given(case=CASES)
def test_twenty_thousand_drawn_cases_raise_no_false_alarm(case):
    case.check()


class Steps(Layer):
    """A slope with small steps, as of a quantised activation."""

    def forward(self, x):
        return np.round(1024 * x) / 1024 + 0.1 * x

    def backward(self, dy):
        return 0.1 * dy


class Path(Layer):
    """Stochastic depth: the whole batch is dropped, which hardly ever happens."""

    def __init__(self, rate):
        self.rate = rate

    def init_params(self, input_shape, rng):
        self.rng = rng.spawn(1)[0]

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = float(self.rng.random() >= self.rate) / (1 - self.rate)
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@pytest.mark.filterwarnings("ignore::minicnn.testing.LayerCheckRemark")
@pytest.mark.parametrize("layer", [Path(0.002), Path(0.01), Path(0.3)], ids=repr)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_hardly_ever_dropped_raises_no_false_alarm(layer, seed):
    check_layer(layer, (8, 7, 3), rng=seed)


@pytest.mark.parametrize("seed", range(5))
def test_small_steps_are_not_taken_for_rounding_to_float32(seed):
    assert not any(_is_coarse(LayerUnderTest(Steps(), (8, 7, 3), seed)) for _ in range(3))


def test_slopes_whose_squares_underflow_are_no_false_alarm():
    for seed in range(3):
        layer = minicnn.PReLU(initial_slope=5.98e-305, shared=False)
        check_layer(layer, (2,), rng=seed, batch_size=2, only="kinks")
