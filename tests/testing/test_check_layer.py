import copy
import pickle
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from minicnn import (
    BatchNorm,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    Parameter,
    Pool2D,
    ReLU,
    Sequential,
    Tanh,
)
from minicnn.models import lenet5
from minicnn.testing import CHECKS, ZOO, LayerCheckError, LayerCheckRemark, check_layer
from minicnn.testing.check import make_target
from minicnn.testing.correct_layers import LayerNorm, Scale
from minicnn.testing.finite_differences import Comparison, EvaluationPoint
from minicnn.testing.passes import INPUT


class OffByFactor(Conv2D):
    """A Conv2D whose kernel gradient is off by `error`, relative, in one element."""

    def __init__(self, filters, kernel_size, error, element):
        super().__init__(filters, kernel_size)
        self.error, self.element = error, element

    def backward(self, dy):
        before = self.kernel.grad.copy()
        dx = super().backward(dy)
        element = self.element % before.size
        self.kernel.grad.flat[element] += self.error * (self.kernel.grad - before).flat[element]
        return dx


class Log(Layer):
    def forward(self, x):
        self.cache = x
        return np.log(x)

    def backward(self, dy):
        return dy / self.cache


class TanhWithout(Layer):
    """tanh, with a gradient that is `factor` times too large, or divided by the number of examples."""

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x):
        tanh = np.tanh(x)
        self.cache = 1 - tanh**2
        return tanh

    def backward(self, dy):
        return dy * self.cache * (1 / len(dy) if self.factor == "mean" else self.factor)


class Gain(Layer):
    """One number times x; the weight has no axes, and the input's name."""

    def __init__(self, error=1.0):
        self.error = error

    def init_params(self, input_shape, rng):
        self.x = Parameter(np.array(1.0))

    def forward(self, x):
        self.cache = x
        return x * self.x.value

    def backward(self, dy):
        self.x.add_grad((dy * self.cache).sum() * self.error)
        return dy * self.x.value


class SkipsTheBatch(Layer):
    """Drops out either the whole batch or nothing, by one coin (stochastic depth)."""

    def init_params(self, input_shape, rng):
        self.rng = rng.spawn(1)[0]

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = 2.0 * float(self.rng.random() < 0.5)
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


def positive(rng, shape):
    return rng.uniform(0.5, 2.0, shape)


@pytest.mark.parametrize("error", [1e-3, 1e-4])
@pytest.mark.parametrize("seeds", [range(10), pytest.param(range(200), marks=pytest.mark.campaign)])
def test_an_error_in_one_element_of_a_kernel_is_caught_and_located(error, seeds):
    for seed in seeds:
        element = int(np.random.default_rng(seed).integers(72))
        with pytest.raises(LayerCheckError) as caught:
            check_layer(OffByFactor(4, 3, error, element), (6, 6, 2), rng=seed, only=("gradients",))
        (failure,) = caught.value.failures
        assert failure.array == "dkernel"
        assert failure.index == np.unravel_index(element, (3, 3, 2, 4))
        ratio = failure.facts["analytic"] / failure.facts["numeric"]
        assert ratio == pytest.approx(1 + error, rel=1e-2 * error)


def test_the_report_names_check_array_index_values_and_cause():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(OffByFactor(4, 3, 1.0, 7), (6, 6, 2))
    assert caught.value.checks == ["gradients"]
    lines = str(caught.value).splitlines()
    assert lines[0] == "OffByFactor(4, 3, 1.0, 7) with input shape (6, 6, 2) fails: gradients"
    lines_by_name = {line[4:16].strip(): line[17:] for line in lines[3:]}
    assert lines_by_name["array"] == "dkernel"
    assert lines_by_name["worst index"] == "(0, 0, 1, 3)"
    assert float(lines_by_name["analytic"]) == pytest.approx(2 * float(lines_by_name["numeric"]), rel=1e-4)
    assert lines_by_name["wrong"] == "1 of 72 elements"
    assert lines_by_name["inputs"] == "normal, batch of 3"
    assert lines_by_name["usual cause"] == "a single element is wrong: an index, or a border case"


@pytest.mark.parametrize(
    ("factor", "cause"),
    [
        (-1.0, "wrong sign"),
        ("mean", "a mean over the batch in place of a sum, or the reverse"),
        (1 / 3, "a constant factor: the gradient is 0.3333 times the correct one"),
        (1.5, "a constant factor: the gradient is 1.5 times the correct one"),
        (0.0, "the wrong elements are zero: not computed, or an `add_grad` or `+=` is missing"),
        (1 + 1e-7, "low precision: something is computed in float32"),
        (np.inf, "a division by zero, or a power or logarithm at the edge of its domain"),
    ],
)
def test_the_usual_cause_is_guessed_from_the_differences(factor, cause):
    with pytest.raises(LayerCheckError) as caught:
        check_layer(TanhWithout(factor), (7,), only=("gradients",))
    assert caught.value.failures[0].hint == cause


@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("LoopEndsTooEarly", "in the last column"),
        ("SqueezesBatchOfOne", "in a batch of one example"),
        ("WrongAbove64Examples", "in batches above 64 examples"),
        ("WrongFromTheThirdStep", "from training step 3 on"),
    ],
)
def test_the_report_says_where_a_layer_is_wrong_only(name, only):
    specimen = ZOO[name]
    with pytest.raises(LayerCheckError) as caught:
        check_layer(specimen.make(), specimen.input_shape)
    assert caught.value.failures[0].facts["only"] == only


def test_three_lines_of_the_report_repeat_the_failure():
    specimen = ZOO["LoopEndsTooEarly"]
    with pytest.raises(LayerCheckError) as caught:
        check_layer(specimen.make(), specimen.input_shape, rng=5, batch_size=4)
    snippet = str(caught.value).partition("to repeat:\n")[2]
    assert snippet.count("\n") == 2
    with pytest.raises(LayerCheckError) as repeated:
        exec(textwrap.dedent(snippet), {})
    assert str(repeated.value.failures[0]) == str(caught.value.failures[0])


def test_what_follows_from_the_first_failure_is_folded():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(ZOO["WritesIntoX"].make(), (7,))
    assert caught.value.checks[0] == "borrowed"
    assert len(caught.value.checks) > 1
    assert "not shown, since this may follow from borrowed" in str(caught.value)
    assert str(caught.value).count("usual cause") == 1


def test_what_follows_from_a_later_failure_is_folded_too():
    class ReturnsDy(Dropout):
        def backward(self, dy):
            return dy

    with pytest.raises(LayerCheckError) as caught:
        check_layer(ReturnsDy(0.5), (12,), only=("aliasing", "gradients", "batches"))
    assert caught.value.checks == ["aliasing", "gradients", "batches"]
    assert "batches: not shown, since this may follow from gradients" in str(caught.value)


def test_explain_prints_what_was_tried_with_the_numbers(capsys):
    check_layer(Scale(), (3,), only=("shapes", "gradients"), explain=True)
    output = capsys.readouterr().out
    assert output.startswith("shapes: passed\n")
    assert "gradients: passed\n    inputs normal, batch of 3\n    dx: analytic " in output
    check_layer(Scale(), (3,), only=("shapes", "gradients"))
    assert capsys.readouterr().out == ""


def test_a_weight_may_have_no_axes_and_the_name_of_the_input():
    check_layer(Gain(), (4,))
    with pytest.raises(LayerCheckError) as caught:
        check_layer(Gain(error=2.0), (4,))
    assert caught.value.checks == ["gradients"]
    (failure,) = caught.value.failures
    assert failure.array == "d('x')"
    assert "of the weight 'x'" in failure.what
    assert "worst index" not in str(failure)


@pytest.mark.parametrize("seed", range(5))
def test_outputs_that_are_right_on_average_only_are_accepted(seed):
    with pytest.warns(LayerCheckRemark, match="share one random mask"):
        check_layer(SkipsTheBatch(), (3,), rng=seed)


def test_a_default_argument_may_be_replaced_by_build():
    class Replaces(Scale):
        def __init__(self, sizes=[]):  # noqa: B006
            self.sizes = sizes

        def init_params(self, input_shape, rng):
            super().init_params(input_shape, rng)
            self.sizes = [*self.sizes, 1]

    check_layer(Replaces(), (3,))


def test_digits_tell_close_numbers_apart():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(TanhWithout(1 + 1e-6), (7,), only=("gradients",))
    analytic, numeric = (
        line.split()[-1] for line in str(caught.value).splitlines() if "ytic" in line or "eric" in line
    )
    assert analytic != numeric


def test_a_wrong_element_is_found_in_a_large_array():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(OffByFactor(16, 5, 1e-4, 1234), (14, 14, 6), only=("gradients",))
    assert caught.value.failures[0].index == np.unravel_index(1234, (5, 5, 6, 16))


@pytest.mark.parametrize("seed", range(3))
def test_kinks_are_no_false_alarms_in_arrays_so_large_that_steps_must_cross_some(seed):
    check_layer(ReLU(), (48, 48, 8), rng=seed, only=("gradients", "ties", "kinks"))
    check_layer(Pool2D(2), (32, 32, 8), rng=seed, only=("gradients", "ties", "kinks"))


def test_a_wrong_gradient_is_caught_in_spite_of_kinks():
    class Half(Layer):
        def forward(self, x):
            self.cache = x > 0
            return np.maximum(x, 0)

        def backward(self, dy):
            return dy * self.cache * 1.001

    with pytest.raises(LayerCheckError) as caught:
        check_layer(Half(), (48, 48, 8), only=("gradients",))
    assert caught.value.failures[0].facts["analytic"] == pytest.approx(
        1.001 * caught.value.failures[0].facts["numeric"]
    )


def test_a_step_function_is_not_taken_for_a_slope():
    class Stairs(Layer):
        """Has the slope 0 wherever it has one, and claims 1."""

        def forward(self, x):
            self.cache = None
            return np.floor(x * 1e9) / 1e9

        def backward(self, dy):
            return dy.copy()

    with pytest.raises(LayerCheckError) as caught:
        check_layer(Stairs(), (7,), only=("gradients",))
    assert caught.value.checks == ["gradients"]


def test_lenet5_passes():
    check_layer(lenet5(), (28, 28, 1), batch_size=2)


def test_the_rule_ties_all_is_accepted_where_it_is_declared():
    check_layer(Pool2D(2, ties="all"), (6, 6, 2))
    check_layer(Sequential([Conv2D(2, 3), Pool2D(2, ties="all")]), (6, 6, 2))


def test_a_layer_is_left_as_it_is():
    layer = Sequential([Dense(3), BatchNorm()]).build((4,), rng=0)
    before = pickle.dumps(layer)
    check_layer(layer)
    assert pickle.dumps(layer) == before
    assert not layer.training
    unbuilt = Scale()
    check_layer(unbuilt, (4,))
    assert unbuilt.input_shape is None


def test_numpy_s_global_stream_is_left_as_it_is():
    np.random.seed(5)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    check_layer(Scale(), (4,))
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_classes_factories_and_generators_are_accepted():
    check_layer(Scale, (4,))
    check_layer(lambda: Dense(2), (4,), rng=np.random.default_rng(3))


def test_the_same_seed_gives_the_same_report_whichever_checks_run():
    reports = []
    for only in (("gradients",), ("gradients",), ("shapes", "ties", "gradients")):
        with pytest.raises(LayerCheckError) as caught:
            check_layer(TanhWithout(2.0), (7,), rng=4, only=only)
        reports.append(str(next(f for f in caught.value.failures if f.check == "gradients")))
    assert len(set(reports)) == 1


def test_inputs_are_for_layers_that_are_defined_for_some_only():
    check_layer(Log(), (5,), inputs=positive)
    check_layer(Log(), (5,), inputs=lambda rng, shape: rng.integers(1, 9, shape))
    with pytest.raises(LayerCheckError, match="inputs="):
        check_layer(Log(), (5,))


def test_an_error_in_inputs_is_not_the_layers():
    def fails(rng, shape):
        raise KeyError("table")

    with pytest.raises(ValueError, match=r"`inputs` raised KeyError for shape \(\d, 5\): 'table'"):
        check_layer(Log(), (5,), inputs=fails)
    with pytest.raises(ValueError, match=r"`inputs` must return an array of shape \(\d, 5\), got \(2,\)"):
        check_layer(Log(), (5,), inputs=lambda rng, shape: np.ones(2))


def test_a_reference_may_be_a_layer_or_a_function():
    check_layer(Tanh(1.7159, 2 / 3), (5,), reference=lambda x: 1.7159 * np.tanh(2 * x / 3))
    check_layer(Sequential([Dense(3)]), (5,), reference=Dense(3))
    with pytest.raises(LayerCheckError) as caught:
        check_layer(Tanh(), (5,), reference=Tanh(2.0))
    assert caught.value.checks == ["reference"]


def test_skip_and_only_choose_checks():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(TanhWithout(2.0), (7,), skip=("gradients",))
    assert "gradients" not in caught.value.checks
    check_layer(TanhWithout(2.0), (7,), only=("repr", "shapes"))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: check_layer(3, (4,)), TypeError, "`layer` must be a Layer"),
        (lambda: check_layer(lambda: 3, (4,)), TypeError, "`layer` must be a Layer"),
        (lambda: check_layer(Scale()), ValueError, "`input_shape` must be given"),
        (lambda: check_layer(Scale(), (4,), batch_size=1), ValueError, "`batch_size` must be at least 2"),
        (lambda: check_layer(Scale(), (4,), rng=-1), ValueError, "`rng` must be at least 0, got -1"),
        (
            lambda: check_layer(Scale(), (4,), skip=("slopes",)),
            ValueError,
            "check names must be among build, shapes",
        ),
        (lambda: check_layer(Scale(), (4,), only=("slopes",)), ValueError, "got 'slopes'"),
        (lambda: check_layer(Scale(), (4,), layout="HWC"), ValueError, "`layout` must be among NHWC, NCHW"),
    ],
)
def test_wrong_arguments_raise_clear_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_an_exception_in_the_layer_becomes_part_of_the_report():
    class Raises(Layer):
        def forward(self, x):
            self.cache = None
            return x.copy()

        def backward(self, dy):
            raise KeyError("nothing there")

    with pytest.raises(LayerCheckError) as caught:
        check_layer(Raises(), (4,))
    assert caught.value.checks == ["shapes"]
    assert "raised KeyError: 'nothing there'" in str(caught.value)


@pytest.mark.parametrize(
    ("layer", "shape"), [(Conv2D(2, 3), (2, 2, 1)), (Flatten, ()), (lambda: Scale(), (0, 3))]
)
def test_a_layer_that_does_not_build_fails_its_first_check(layer, shape):
    with pytest.raises(LayerCheckError) as caught:
        check_layer(layer, shape)
    assert caught.value.checks == ["build"]


def test_a_layer_that_returns_no_array_is_reported():
    class Nothing(Layer):
        def forward(self, x):
            self.cache = None
            return x.copy()

        def backward(self, dy):
            dy.copy()

    with pytest.raises(LayerCheckError, match="NoneType"):
        check_layer(Nothing(), (4,))


def test_the_kit_needs_no_hypothesis_and_no_pytest():
    code = (
        "import sys; sys.modules['hypothesis'] = sys.modules['pytest'] = None\n"
        "from minicnn import Dense\n"
        "from minicnn.testing import check_layer\n"
        "check_layer(Dense(2), (3,))\n"
        "try:\n"
        "    import minicnn.testing.strategies\n"
        "except ImportError as error:\n"
        "    print(error)\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "strategies need hypothesis: pip install 'minicnn-numpy[testing]'\n"


def test_every_check_says_what_it_checks():
    for name, check in CHECKS.items():
        assert check.__doc__.startswith("Check that "), name


def test_a_report_survives_pickling_and_copying():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(TanhWithout(2.0), (7,), only=("gradients",))
    for error in (pickle.loads(pickle.dumps(caught.value)), copy.copy(caught.value)):
        assert str(error) == str(caught.value)


class ActivatedPattern(Layer):
    """A dense layer that starts with the identity, and a ufunc as a static method."""

    activation = staticmethod(np.tanh)

    def init_params(self, input_shape, rng):
        self.w = Parameter(np.eye(input_shape[-1]))

    def forward(self, x):
        y = self.activation(x @ self.w.value)
        self.cache = x, 1 - y**2
        return y

    def backward(self, dy):
        x, slope = self.cache
        self.w.add_grad(x.T @ (dy * slope))
        return (dy * slope) @ self.w.value.T


def test_a_static_method_that_is_not_written_in_python_is_no_error():
    check_layer(ActivatedPattern(), (4,))


class Noise(Layer):
    """Adds noise whose draws depend on the dtype, as those of NumPy do."""

    def __init__(self, sigma, wrong=False):
        self.sigma, self.wrong = sigma, wrong

    def init_params(self, input_shape, rng):
        self.rng = rng.spawn(1)[0]

    def forward(self, x):
        if not self.training:
            return x.copy()
        kept = x.astype(np.float16).astype(x.dtype) if self.wrong and x.dtype == np.float32 else x
        drawn = self.rng.standard_normal(x.shape, np.float32 if self.wrong else x.dtype)
        return kept + (self.sigma * drawn).astype(x.dtype)

    def backward(self, dy):
        return dy.copy()


@pytest.mark.parametrize("sigma", [0.001, 0.01, 0.2, 3.0])
def test_noise_that_is_drawn_in_the_dtype_of_x_passes(sigma):
    check_layer(Noise(sigma), (6, 4))


def test_a_lower_precision_of_float32_is_found_beside_noise():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(Noise(0.2, wrong=True), (6, 4), only="float32")
    assert caught.value.checks == ["float32"]


class Bound(Layer):
    """The derivative ignores a bound that only few inputs pass."""

    def forward(self, x):
        self.cache = x
        return x * np.clip(x + 3, 0, 6) / 6

    def backward(self, dy):
        return dy * (2 * self.cache + 3) / 6


def test_a_rare_value_is_not_taken_for_an_effect_of_the_batch_size():
    for seed in range(5):
        with pytest.raises(LayerCheckError) as caught:
            check_layer(Bound(), (3, 5), rng=seed, only="gradients")
        assert (
            "only" not in caught.value.failures[0].facts
            or "batch" not in caught.value.failures[0].facts["only"]
        )


def test_examples_of_one_point_are_differentiated_in_one_batch():
    rng = np.random.default_rng(0)
    layer = Dense(4).build((5,), rng=0, dtype=np.float64).train()
    x, dy = rng.standard_normal((3, 5)), rng.standard_normal((3, 4))
    point = EvaluationPoint(layer, x, dy, steady=True, independent=True)
    found = point.derivatives_of_elements(np.array([0, 7, 14]), 1.0)
    for (analytic, numeric, tolerance), i in zip([numbers for numbers, _ in found], (0, 7, 14), strict=True):
        expected = (layer.kernel.value @ dy[i // 5])[i % 5]
        assert abs(analytic - expected) < 1e-12
        assert abs(numeric - expected) < tolerance < 1e-6


class MeanOverTheBatch(Scale):
    def backward(self, dy):
        self.factor.add_grad((dy * self.cache).mean(axis=0))
        return dy * self.factor.value


@pytest.mark.parametrize("check", ["steps", "batches"])
def test_a_check_run_alone_does_not_blame_steps_or_sizes_for_a_mean(check):
    with pytest.raises(LayerCheckError) as caught:
        check_layer(MeanOverTheBatch(), (4,), only=check)
    assert "a mean over the batch in place of a sum" in str(caught.value)
    assert "training step" not in str(caught.value)


class SwappedFilters(Conv2D):
    """A large convolution, whose elements are compared in part: dx is that of flipped kernels."""

    def backward(self, dy):
        kernel = self.kernel.value.copy()
        self.kernel.value = kernel[::-1, ::-1]
        dx = super().backward(dy)
        self.kernel.value = kernel
        return dx


def test_a_wrong_input_gradient_of_a_large_layer_gets_a_cause_of_inputs():
    with pytest.raises(LayerCheckError) as caught:
        check_layer(SwappedFilters(16, 3), (16, 15, 4), only="gradients", skip=("ties", "kinks"))
    failure = caught.value.failures[0]
    assert failure.array == "dx"
    assert "compared elements (2880 in total)" in failure.facts["wrong"]
    assert failure.hint.startswith("a flipped kernel, windows at another place")


class ClipsDy(Conv2D):
    """A heavy convolution whose backward is not linear."""

    def backward(self, dy):
        return super().backward(np.clip(dy, -2, 2))


def test_a_heavy_layer_is_checked_on_smaller_images_too():
    target = make_target(Conv2D(64, 3), (28, 28, 16))
    assert target.smaller.input_shape == (10, 10, 16)
    assert make_target(Conv2D(64, 3), (28, 28, 16), inputs=np.zeros).smaller.input_shape == (28, 28, 16)
    dense = Sequential([Flatten(), Dense(64)])
    assert make_target(dense, (28, 28, 32)).smaller.input_shape == (28, 28, 32)
    with pytest.raises(LayerCheckError) as caught:
        check_layer(ClipsDy(64, 3), (28, 28, 16), only=("linearity",))
    assert "inputs       normal, batch of 2 of shape (10, 10, 16), to save time" in str(caught.value)


class FastSine(Layer):
    """sin(200 x): smooth, but not in large steps."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def forward(self, x):
        self.cache = x
        return np.sin(200 * x)

    def backward(self, dy):
        return self.factor * 200 * np.cos(200 * self.cache) * dy


@pytest.mark.parametrize(
    ("layer", "expected"),
    [
        (FastSine(), Comparison.MATCH),
        (FastSine(1 + 1e-6), Comparison.MISMATCH),
        (ReLU(), Comparison.KINK),
    ],
)
def test_what_bends_quickly_is_told_from_a_kink(layer, expected):
    rng = np.random.default_rng(0)
    x, dy = rng.standard_normal((4, 6)), rng.standard_normal((4, 6))
    x[0] = 0.0
    point = EvaluationPoint(layer.build((6,)).train(), x, dy)
    assert point.compare({INPUT: np.ones(x.shape)}) is expected


def test_the_rounded_mean_of_two_features_far_from_zero_is_no_error():
    check_layer(LayerNorm(1e-6), (2,), rng=26, only=("float32",))


class KeepsTheRate(Layer):
    def __init__(self, rate):
        self.rate = rate

    def init_params(self, input_shape, rng):
        self.rng = rng.spawn(1)[0]

    def forward(self, x):
        if not self.training:
            return x.copy()
        self.cache = ((self.rng.random(x.shape) < self.rate) / self.rate).astype(x.dtype)
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


@pytest.mark.parametrize("layer", [KeepsTheRate(0.3), KeepsTheRate(0.8)])
def test_a_rate_of_what_is_kept_is_remarked_on(layer):
    with pytest.warns(
        LayerCheckRemark, match=f"`rate` = {layer.rate} is the share of the values that are kept"
    ):
        check_layer(layer, (10,), only="modes")


class MaskOfTheCache(Layer):
    def forward(self, x):
        self.cache = x > 0
        return x * self.cache

    def backward(self, dy):
        return dy * self.cache


class CropsByZero(Layer):
    def forward(self, x):
        self.cache = 0
        return x.copy()

    def backward(self, dy):
        return dy[:, self.cache : -self.cache].copy()


class AddsTheLastOutput(Layer):
    def __init__(self):
        self.last = 0.0

    def forward(self, x):
        self.cache = None
        self.last = x + 0.1 * (self.last if np.shape(self.last) == x.shape else 0.0)
        return self.last.copy()

    def backward(self, dy):
        return dy.copy()


class KeepsTheFirstInput(Layer):
    def __init__(self):
        self.kept = np.empty(0)

    def forward(self, x):
        if self.kept.shape != x.shape:
            self.kept = x.copy()
        return x**3

    def backward(self, dy):
        return 3 * self.kept**2 * dy


@pytest.mark.parametrize(
    ("layer", "check", "cause"),
    [
        (MaskOfTheCache, "build", "forward reads self.cache"),
        (CropsByZero, "shapes", "a crop by 0"),
        (AddsTheLastOutput, "modes", "what an earlier forward left in an attribute"),
        (KeepsTheFirstInput, "cache", "values of an earlier forward"),
    ],
)
def test_common_slips_are_named(layer, check, cause):
    with pytest.raises(LayerCheckError) as caught:
        check_layer(layer, (6,))
    report = str(caught.value)
    assert report.count("usual cause") == 1
    assert f"{check}: " in report
    assert cause in caught.value.failures[0].hint


def test_the_shape_that_is_not_square_is_named_in_the_report():
    with pytest.raises(LayerCheckError, match=r"in inputs that are not square, such as \(5, 10, 3\)"):
        check_layer(ZOO["WidthForHeight"].make, (5, 5, 3), only="gradients")


def test_numpy_s_functions_are_the_same_after_a_check():
    before = [np.empty, np.empty_like, np.divide, np.log]
    check_layer(Scale, (3,), only="determinism")
    assert [np.empty, np.empty_like, np.divide, np.log] == before
