import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from minicnn import Conv2D, Layer, Pool2D, ReLU
from minicnn.testing import LayerCheckError, check_layer
from minicnn.testing.strategies import (
    dtypes,
    image_shapes,
    images,
    layer_cases,
    layouts,
    nets,
    paddings,
    pairs,
    seeds,
)


class FirstRowOnly(Conv2D):
    """Forgets all rows but the first in the bias's gradient: right where the output has one row."""

    def __init__(self, filters, kernel_size):
        super().__init__(filters, kernel_size)

    def backward(self, dy):
        before = self.bias.grad.copy()
        dx = super().backward(dy)
        self.bias.grad[...] = before + dy[:, 0].sum(axis=(0, 1))
        return dx


def fails(case):
    try:
        case.check(only=("gradients",))
    except LayerCheckError:
        return True
    return False


def test_a_failure_shrinks_to_the_smallest_shape():
    cases = layer_cases(FirstRowOnly, image_shapes(1), filters=st.just(1), kernel_size=st.integers(1, 2))
    case = find(cases, fails, settings=settings(max_examples=30, database=None))
    assert case.input_shape == (2, 1, 1)
    assert repr(case.layer) == "FirstRowOnly(1, 1)"


@settings(max_examples=50)
@given(x=images())
def test_images_are_batches(x):
    assert x.ndim == 4
    assert np.isfinite(x).all()


@pytest.mark.parametrize(
    "wanted",
    [
        lambda x: x.size > 8 and np.ptp(x) == 0,
        lambda x: x.size > 8 and (x < 0).all(),
        lambda x: len(np.unique(x)) < x.size / 3 and np.ptp(x) > 0,
        lambda x: len(np.unique(x)) == x.size > 8,
    ],
    ids=["constant", "negative", "ties", "generic"],
)
def test_images_of_each_kind_are_found(wanted):
    find(images(), wanted, settings=settings(max_examples=1000, database=None, derandomize=True))


@given(x=images((2, 7, 8, 3), np.float32))
def test_images_have_the_shape_and_dtype_asked_for(x):
    assert (x.shape, x.dtype) == ((2, 7, 8, 3), np.float32)


@given(pair=pairs(2, 3), padding=paddings(1))
def test_pairs_and_paddings_are_what_layers_take(pair, padding):
    Pool2D(pair, pair, padding)


def test_layer_cases_build_and_are_never_larger_than_the_image():
    @settings(max_examples=30)
    @given(case=layer_cases(Pool2D, image_shapes(1), mode=st.just("avg")))
    def run(case):
        assert case.layer.mode == "avg"
        assert case.input_shape[2] == 1
        assert case.layer.build(case.input_shape).output_shape[2] == 1

    run()


def test_an_argument_without_a_strategy_is_named():
    class Odd(Layer):
        def __init__(self, colour):
            self.colour = colour

    @given(case=layer_cases(Odd))
    def run(case):
        pass

    with pytest.raises(TypeError, match="`colour` of Odd needs a strategy"):
        run()


def test_a_strategy_for_an_argument_that_does_not_exist_is_named():
    @given(case=layer_cases(Conv2D, fliters=st.just(3)))
    def run(case):
        pass

    with pytest.raises(TypeError, match="Conv2D has no argument `fliters`"):
        run()


def test_most_images_are_generic():
    generic = []

    @settings(max_examples=100, derandomize=True, database=None)
    @given(x=images((1, 4, 4, 1)))
    def count(x):
        generic.append(len(np.unique(x)) == x.size and x.max() > 0)

    count()
    assert np.mean(generic) > 0.5


@settings(max_examples=5, deadline=None)
@given(case=nets(depth=3))
def test_nets_build_and_pass(case):
    case.check(only="gradients")


@settings(max_examples=4, deadline=None)
@given(dtype=dtypes(), layout=layouts(), seed=seeds())
def test_dtypes_and_layouts_are_what_layers_and_checks_take(dtype, layout, seed):
    layer = Conv2D(1, 2).build((3, 3, 1), rng=seed, dtype=dtype)
    assert layer(np.ones((1, 3, 3, 1), dtype)).dtype == dtype
    check_layer(ReLU(), (3, 3, 1), only=("shapes",), layout=layout)


class WithIntegers(ReLU):
    def __init__(self, kernel_size=3, padding=0, strides: int = 1, pool_size=(2, 2)):
        self.kernel_size, self.padding, self.strides, self.pool_size = (
            kernel_size,
            padding,
            strides,
            pool_size,
        )


@settings(max_examples=20, deadline=None)
@given(case=layer_cases(WithIntegers, input_shape=(3, 3, 1)))
def test_sizes_that_are_integers_by_default_stay_integers(case):
    layer = case.layer
    assert all(type(size) is int for size in (layer.kernel_size, layer.padding, layer.strides))
    assert layer.padding <= 2


def test_sizes_that_are_pairs_by_default_may_be_pairs():
    find(layer_cases(WithIntegers, input_shape=(3, 3, 1)), lambda case: type(case.layer.pool_size) is tuple)
