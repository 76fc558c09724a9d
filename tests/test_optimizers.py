import copy
import functools
import math
import re
import tracemalloc

import numpy as np
import pytest
from wrong_rules import Counts, Forgets, Hides, Momentum, Rebinds, ReturnsNothing, ReturnsOne

from minicnn.optimizers import OPTIMIZERS, SGD, Adam, AdamW, Optimizer, RMSprop, base
from minicnn.optimizers._memory import BLOCK
from minicnn.parameter import Parameter
from minicnn.schedules import cosine

ALL = [
    SGD(0.1),
    SGD(0.1, momentum=0.9),
    SGD(0.1, momentum=0.5, nesterov=True, weight_decay=0.1, clip_norm=0.7),
    RMSprop(0.01),
    RMSprop(0.01, momentum=0.9),
    RMSprop(0.01, rho=0.5, momentum=0.9, centered=True, weight_decay=0.1),
    Adam(0.01),
    SGD(0.1, momentum=0.9, weight_decay=0.3, clip_norm=0.5, decoupled=False),
    Adam(0.01, beta1=0.0, beta2=0.5, eps=1e-3, clip_norm=0.5),
    AdamW(0.01),
    AdamW(cosine(0.1, steps=6, warmup=2), weight_decay=0.5),
]
KINDS = [type(entry.make()) for entry in OPTIMIZERS.values()]
SHAPES = [(3, 4), (4,), (), (2, 2, 3)]


def make_parameters(shapes=SHAPES, dtype=np.float64, seed=0):
    rng = np.random.default_rng(seed)
    return [Parameter(rng.normal(size=shape).astype(dtype)) for shape in shapes]


def take_step(optimizer, parameters, seed):
    """One step with random gradients."""
    rng = np.random.default_rng(seed)
    for parameter in parameters:
        parameter.zero_grad()
        parameter.add_grad(rng.normal(size=parameter.shape))
    optimizer.step(parameters)


def textbook_step(optimizer, t, w, g, norm, memory):
    """One weight's new value by the published formulas, in plain Python; `memory` is a dict of its own."""
    rate = optimizer.lr(t - 1) if callable(optimizer.lr) else optimizer.lr
    if optimizer.clip_norm is not None and norm > optimizer.clip_norm:
        g *= optimizer.clip_norm / norm
    if optimizer.decoupled:
        w -= rate * optimizer.weight_decay * w
    else:
        g += optimizer.weight_decay * w
    if isinstance(optimizer, SGD):
        u = memory["u"] = optimizer.momentum * memory.get("u", 0.0) - rate * g
        return w + optimizer.momentum * u - rate * g if optimizer.nesterov else w + u
    if isinstance(optimizer, RMSprop):
        a = memory["a"] = optimizer.rho * memory.get("a", 0.0) + (1 - optimizer.rho) * g
        v = memory["v"] = optimizer.rho * memory.get("v", 0.0) + (1 - optimizer.rho) * g**2
        variance = v - a**2 if optimizer.centered else v
        step = rate * g / math.sqrt(variance + optimizer.eps)
        u = memory["u"] = optimizer.momentum * memory.get("u", 0.0) + step
        return w - u
    b1, b2 = optimizer.beta1, optimizer.beta2
    m = memory["m"] = b1 * memory.get("m", 0.0) + (1 - b1) * g
    v = memory["v"] = b2 * memory.get("v", 0.0) + (1 - b2) * g**2
    return w - rate * math.sqrt(1 - b2**t) / (1 - b1**t) * m / (math.sqrt(v) + optimizer.eps)


@pytest.mark.parametrize("prototype", ALL, ids=repr)
def test_optimizer_follows_the_published_formulas(prototype):
    optimizer, parameters = copy.deepcopy(prototype), make_parameters()
    weights = [w for parameter in parameters for w in parameter.value.ravel().tolist()]
    memories = [{} for _ in weights]
    for t in range(1, 9):
        take_step(optimizer, parameters, seed=t)
        grads = [g for parameter in parameters for g in parameter.grad.ravel().tolist()]
        norm = math.hypot(*grads)
        weights = [
            textbook_step(optimizer, t, w, g, norm, memory)
            for w, g, memory in zip(weights, grads, memories, strict=True)
        ]
        result = np.concatenate([parameter.value.ravel() for parameter in parameters])
        np.testing.assert_allclose(result, weights, rtol=1e-12)
        assert optimizer.steps == t


@pytest.mark.parametrize("prototype", ALL, ids=repr)
def test_optimizer_treats_each_weight_alike_wherever_blocks_are_cut(prototype):
    """Large and small parameters across several blocks get what one weight alone gets."""
    optimizer, alone = copy.deepcopy(prototype), copy.deepcopy(prototype)
    optimizer.clip_norm = alone.clip_norm = None  # the only thing that looks at all weights together
    parameters = [Parameter(np.full(n, 2.0)) for n in (5, BLOCK - 5, 7, 2 * BLOCK + 3, 1)]
    single = [Parameter([2.0])]
    for grad in (0.3, -0.1, 0.7):
        for parameter in (*parameters, *single):
            parameter.zero_grad()
            parameter.add_grad(np.full(parameter.shape, grad))
        optimizer.step(parameters)
        alone.step(single)
    for parameter in parameters:
        np.testing.assert_allclose(parameter.value, single[0].value[0], rtol=1e-15)


def test_sgd_with_momentum_equals_a_hand_calculation():
    parameter = Parameter([1.0])
    plain, heavy, ahead = SGD(0.5), SGD(0.5, momentum=0.5), SGD(0.5, momentum=0.5, nesterov=True)
    expected = {plain: [0.0, -1.0], heavy: [0.0, -1.5], ahead: [-0.5, -2.25]}
    for optimizer, values in expected.items():
        parameter.value = [1.0]
        parameter.zero_grad()
        parameter.add_grad(np.array([2.0]))
        for value in values:
            optimizer.step([parameter])
            assert parameter.value.tolist() == [value]


def test_adam_first_step_is_the_rate_whatever_the_size_of_the_gradient():
    parameter = Parameter([1.0, 1.0, 1.0])
    parameter.add_grad(np.array([1e3, -1.0, 1e-3]))
    Adam(lr=0.25).step([parameter])
    np.testing.assert_allclose(parameter.value, [0.75, 1.25, 0.75], rtol=1e-2)
    np.testing.assert_allclose(parameter.value[:2], [0.75, 1.25], rtol=1e-5)


def test_weight_decay_is_decoupled_from_the_gradient():
    parameter = Parameter([8.0])
    AdamW(lr=0.5, weight_decay=0.25).step([parameter])  # no gradient: only 8 * (1 - 0.125) is left
    assert parameter.value.tolist() == [7.0]


def test_sgd_of_the_alexnet_paper_equals_a_hand_calculation():
    """Section 5: v = 0.9 v - 0.0005 rate w - rate g, w = w + v; here with 0.5, 0.25, a rate of 0.5, g = 2."""
    parameter = Parameter([8.0])
    parameter.add_grad(np.array([2.0]))
    optimizer = SGD(0.5, momentum=0.5, weight_decay=0.25, decoupled=False)
    optimizer.step([parameter])  # v = -1 - 1
    assert parameter.value.tolist() == [6.0]
    optimizer.step([parameter])  # v = -1 - 0.75 - 1
    assert parameter.value.tolist() == [3.25]
    optimizer.lr = 0.25  # the momentum stays what it was
    optimizer.step([parameter])  # v = -1.375 - 0.203125 - 0.5
    assert parameter.value.tolist() == [1.171875]


def test_rmsprop_centered_survives_a_constant_gradient():
    """The variance is zero then, and its rounding error must not become the root of a negative number."""
    parameter = Parameter(np.zeros(100, np.float32))
    parameter.add_grad(np.linspace(1, 1000, 100, dtype=np.float32))
    optimizer = RMSprop(1e-3, centered=True)
    for _ in range(200):
        optimizer.step([parameter])
    assert np.isfinite(parameter.value).all()


def test_clip_norm_is_over_all_parameters_and_leaves_the_gradients_alone():
    first, second = Parameter([0.0]), Parameter([[0.0]])
    first.add_grad(np.array([3.0]))
    second.add_grad(np.array([[4.0]]))
    SGD(lr=1.0, clip_norm=1.0).step([first, second])
    np.testing.assert_allclose([first.value[0], second.value[0, 0]], [-0.6, -0.8], rtol=1e-15)
    SGD(lr=1.0, clip_norm=5.0).step([first, second])  # not above the limit: taken whole
    np.testing.assert_allclose([first.value[0], second.value[0, 0]], [-3.6, -4.8], rtol=1e-15)
    assert first.grad.tolist() == [3.0]
    assert second.grad.tolist() == [[4.0]]


@pytest.mark.parametrize("wrong", [math.inf, math.nan])
def test_clip_norm_does_not_hide_a_gradient_that_is_not_finite(wrong):
    parameter = Parameter([1.0, 1.0])
    parameter.add_grad(np.array([wrong, 1.0]))
    SGD(clip_norm=1.0).step([parameter])
    assert np.isnan(parameter.value).all()


@pytest.mark.parametrize("prototype", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_step_keeps_buffers_dtypes_and_gradients(prototype, dtype):
    optimizer, parameters = copy.deepcopy(prototype), make_parameters(dtype=dtype)
    buffers = [parameter.value for parameter in parameters]
    take_step(optimizer, parameters, seed=1)
    before = [parameter.grad.copy() for parameter in parameters]
    optimizer.step(iter(parameters))
    for parameter, buffer, grad in zip(parameters, buffers, before, strict=True):
        assert parameter.value is buffer
        assert parameter.value.dtype == dtype
        assert np.array_equal(parameter.grad, grad)
    assert {array.dtype for array in optimizer.state_dict().values()} <= {np.dtype(dtype)}


def test_step_updates_parameters_made_from_arrays_of_any_memory_order():
    values = np.arange(6.0).reshape(2, 3)
    for start in (values, np.asfortranarray(values), values[::-1][::-1], np.ascontiguousarray(values.T).T):
        parameter = Parameter(start)
        parameter.add_grad(np.asfortranarray(values))
        SGD(lr=0.5).step([parameter])
        assert np.array_equal(parameter.value, values / 2)


def test_step_skips_what_is_not_trainable():
    frozen, free = Parameter([1.0], trainable=False), Parameter([1.0])
    for parameter in (frozen, free):
        parameter.add_grad(np.array([1.0]))
    optimizer = Adam(lr=0.5, weight_decay=0.5)
    optimizer.step([frozen, free])
    assert frozen.value.tolist() == [1.0]
    assert free.value[0] < 0.5
    assert sorted(optimizer.state_dict()) == ["1.m", "1.v"]


def test_the_state_of_a_frozen_parameter_waits_until_it_is_thawed():
    rng = np.random.default_rng(0)
    values, grads = [rng.standard_normal(n) for n in (3, 2)], [rng.standard_normal(n) for n in (3, 2)]
    make = functools.partial(Adam, lr=0.1, weight_decay=0.1)

    def run(steps, optimizer, parameters):
        for flags in steps:
            for parameter, flag, grad in zip(parameters, flags, grads, strict=False):
                parameter.trainable = flag
                parameter.zero_grad()
                parameter.add_grad(grad)
            optimizer.step(parameters)
        return optimizer

    parameters = [Parameter(value) for value in values]
    optimizer = run([(True, True), (False, True), (False, True)], make(), parameters)
    alone = [Parameter(values[0])]
    one = run([(True,)], make(), alone)
    np.testing.assert_array_equal(parameters[0].value, alone[0].value)  # neither moved nor decayed
    np.testing.assert_array_equal(optimizer.state_dict()["0.m"], one.state_dict()["0.m"])
    copies = [Parameter(parameter.value) for parameter in parameters]
    copies[0].trainable = False
    twin = make()
    twin.load_state_dict(optimizer.state_dict(), optimizer.steps, copies)
    for each, owner in ((optimizer, parameters), (twin, copies)):
        run([(True, True)], each, owner)
    for own, other in zip(parameters, copies, strict=True):
        np.testing.assert_array_equal(own.value, other.value)
    assert not np.array_equal(parameters[0].value, alone[0].value)


@pytest.mark.parametrize(
    ("shapes", "dtype", "got"),
    [
        ([(3, 4), (4,)], np.float64, "(3, 4) float64, (4,) float64"),
        ([(4, 3), (4,), ()], np.float64, "(4, 3) float64, (4,) float64, () float64"),
        ([(3, 4), (4,), ()], np.float32, "(3, 4) float32, (4,) float32, () float32"),
        ([], np.float64, "none"),
    ],
)
def test_step_refuses_other_parameters_than_at_first(shapes, dtype, got):
    optimizer = Adam()
    optimizer.step(make_parameters([(3, 4), (4,), ()]))
    sentence = (
        f"state for parameters (3, 4) float64, (4,) float64, () float64, got {got}; make a new optimizer"
    )
    with pytest.raises(ValueError, match=re.escape(sentence)):
        optimizer.step(make_parameters(shapes, dtype))


def test_step_refuses_nothing_and_mixed_dtypes():
    with pytest.raises(ValueError, match="needs trainable parameters of one dtype, got none"):
        Adam().step([Parameter([1.0], trainable=False)])
    mixed = make_parameters([(1,)]) + make_parameters([(1,)], np.float32)
    with pytest.raises(ValueError, match=r"parameters of one dtype, got \(1,\) float64, \(1,\) float32"):
        Adam().step(mixed)


def test_step_handles_parameters_without_values():
    empty, one = Parameter(np.zeros((0, 3))), Parameter([1.0])
    one.add_grad(np.array([1.0]))
    SGD(lr=1.0).step([empty, one])
    assert one.value.tolist() == [0.0]


def test_learning_rate_is_that_of_the_next_step():
    optimizer, parameter = SGD(lr=lambda step: 1.0 / (step + 1)), Parameter([0.0])
    parameter.add_grad(np.array([1.0]))
    rates = []
    for _ in range(3):
        rates.append(optimizer.learning_rate)
        optimizer.step([parameter])
    assert rates == [1.0, 1 / 2, 1 / 3]
    assert parameter.value[0] == pytest.approx(-(1 + 1 / 2 + 1 / 3), rel=1e-15)
    assert type(SGD(lr=1).learning_rate) is float


@pytest.mark.parametrize(
    ("result", "error", "sentence"),
    [
        (math.nan, ValueError, r"`lr\(2\)` must be in \[0, inf\), got nan"),
        (math.inf, ValueError, r"`lr\(2\)` must be in \[0, inf\), got inf"),
        (-0.1, ValueError, r"`lr\(2\)` must be in \[0, inf\), got -0\.1"),
        (None, TypeError, r"`lr\(2\)` must be a number, got None"),
    ],
)
def test_schedule_that_returns_no_rate_is_named_with_its_step(result, error, sentence):
    optimizer, parameters = SGD(lr=lambda step: 0.1 if step < 2 else result), make_parameters()
    for seed in range(2):
        take_step(optimizer, parameters, seed)
    before = [parameter.value.copy() for parameter in parameters]
    with pytest.raises(error, match=sentence):
        take_step(optimizer, parameters, seed=2)
    assert all(np.array_equal(p.value, value) for p, value in zip(parameters, before, strict=True))
    assert optimizer.steps == 2


@pytest.mark.parametrize("prototype", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("stop", [0, 4])
def test_resumed_optimizer_goes_on_bit_for_bit(prototype, dtype, stop):
    straight, parameters = copy.deepcopy(prototype), make_parameters(dtype=dtype)
    for seed in range(stop):
        take_step(straight, parameters, seed)
    state, steps = straight.state_dict(), straight.steps
    twins = [Parameter(parameter.value) for parameter in parameters]
    resumed = copy.deepcopy(prototype)
    resumed.load_state_dict(state, steps, twins)
    for seed in range(stop, 8):
        take_step(straight, parameters, seed)
        take_step(resumed, twins, seed)
    assert resumed.steps == 8
    for parameter, twin in zip(parameters, twins, strict=True):
        assert np.array_equal(parameter.value, twin.value)
    assert resumed.state_dict().keys() == straight.state_dict().keys()


def test_state_dict_has_copies_in_the_parameters_shapes():
    optimizer, parameters = RMSprop(rho=0.75, momentum=0.5, centered=True), make_parameters([(2, 3), (3,)])
    assert optimizer.state_dict() == {}
    for parameter in parameters:
        parameter.add_grad(np.full(parameter.shape, 2.0))
    optimizer.step(parameters)
    state = optimizer.state_dict()
    assert list(state) == ["0.square", "1.square", "0.mean", "1.mean", "0.velocity", "1.velocity"]
    assert state["0.square"].tolist() == [[1.0] * 3] * 2  # (1 - 0.75) * 2^2
    assert state["1.mean"].tolist() == [0.5] * 3
    state["0.square"][:] = 7.0
    assert optimizer.state_dict()["0.square"].tolist() == [[1.0] * 3] * 2


def test_load_state_dict_can_go_back_to_the_beginning():
    optimizer, parameters = Adam(), make_parameters()
    take_step(optimizer, parameters, seed=0)
    optimizer.load_state_dict({}, 0, parameters)
    assert optimizer.steps == 0
    assert not any(array.any() for array in optimizer.state_dict().values())


def test_load_state_dict_refuses_what_is_not_its_state():
    parameters = make_parameters([(2, 3)])
    optimizer = Adam()
    take_step(optimizer, parameters, seed=0)
    good = optimizer.state_dict()
    with pytest.raises(ValueError, match=r"missing \['0.v'\], unexpected \['0.w'\]"):
        optimizer.load_state_dict({"0.m": good["0.m"], "0.w": good["0.v"]}, 1, parameters)
    with pytest.raises(ValueError, match=r"missing \['0.m', '0.v'\]"):
        optimizer.load_state_dict({}, 1, parameters)
    with pytest.raises(ValueError, match=r"'0.v' must have shape \(2, 3\) and dtype float64, got \(3, 2\)"):
        optimizer.load_state_dict({"0.m": 9 * good["0.m"], "0.v": good["0.v"].T}, 1, parameters)
    with pytest.raises(ValueError, match=r"'0.m' must have shape .* got .* and float32"):
        optimizer.load_state_dict({"0.m": good["0.m"].astype(np.float32), "0.v": good["0.v"]}, 1, parameters)
    with pytest.raises(ValueError, match="`steps` must be at least 0, got -1"):
        optimizer.load_state_dict(good, -1, parameters)
    assert optimizer.steps == 1
    assert all(np.array_equal(array, good[name]) for name, array in optimizer.state_dict().items())


def test_copy_of_an_optimizer_goes_its_own_way():
    optimizer, parameters = Adam(), make_parameters()
    take_step(optimizer, parameters, seed=0)
    twin, twins = copy.deepcopy(optimizer), copy.deepcopy(parameters)
    take_step(optimizer, parameters, seed=1)
    take_step(twin, twins, seed=1)
    assert all(np.array_equal(p.value, q.value) for p, q in zip(parameters, twins, strict=True))
    state = optimizer.state_dict()
    assert all(np.array_equal(array, state[name]) for name, array in twin.state_dict().items())
    take_step(twin, twins, seed=2)
    assert all(np.array_equal(array, state[name]) for name, array in optimizer.state_dict().items())


def test_step_needs_no_memory_beside_the_state():
    parameter = Parameter(np.ones(10 * BLOCK, np.float32))
    parameter.add_grad(np.ones(10 * BLOCK, np.float32))
    optimizer = AdamW(clip_norm=1.0)
    optimizer.step([parameter])
    tracemalloc.start()
    try:
        optimizer.step([parameter])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < parameter.value.nbytes / 100


def test_optimizer_of_ones_own_needs_only_a_rule():
    class SignSGD(Optimizer):
        def __init__(self, lr=0.5, power=2):
            super().__init__(lr)
            self.power = power

        def update(self, grad, scratch, rate, state):
            return np.multiply(np.sign(grad), rate**self.power, out=scratch)

    parameter = Parameter([1.0, 1.0])
    parameter.add_grad(np.array([-7.0, 0.1]))
    optimizer = SignSGD()
    optimizer.step([parameter])
    assert parameter.value.tolist() == [1.25, 0.75]
    assert repr(optimizer) == "SignSGD(lr=0.5, power=2)"


def test_optimizer_prints_all_hyper_parameters():
    assert repr(SGD(0.1, 0.9)) == (
        "SGD(lr=0.1, momentum=0.9, nesterov=False, weight_decay=0.0, clip_norm=None, decoupled=True)"
    )
    assert repr(SGD()) == (
        "SGD(lr=0.01, momentum=0.0, nesterov=False, weight_decay=0.0, clip_norm=None, decoupled=True)"
    )
    assert repr(Adam()) == (
        "Adam(lr=0.001, beta1=0.9, beta2=0.999, eps=1e-07, weight_decay=0.0, clip_norm=None)"
    )
    assert repr(AdamW()) == (
        "AdamW(lr=0.001, weight_decay=0.004, beta1=0.9, beta2=0.999, eps=1e-07, clip_norm=None)"
    )
    assert repr(RMSprop()) == (
        "RMSprop(lr=0.001, rho=0.9, momentum=0.0, eps=1e-07, centered=False, "
        "weight_decay=0.0, clip_norm=None)"
    )
    assert repr(AdamW(cosine(0.1, 9), clip_norm=1)) == (
        "AdamW(lr=cosine(lr=0.1, steps=9, warmup=0, final=0.0), weight_decay=0.004, "
        "beta1=0.9, beta2=0.999, eps=1e-07, clip_norm=1.0)"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_optimizer_keeps_rate_decay_and_clipping(kind):
    optimizer = kind(0.25, weight_decay=0.125, clip_norm=0.5)
    assert (optimizer.lr, optimizer.weight_decay, optimizer.clip_norm) == (0.25, 0.125, 0.5)


def test_sgd_has_a_state_with_momentum_only():
    for optimizer, names in ((SGD(), []), (SGD(momentum=0.5), ["0.velocity"])):
        take_step(optimizer, make_parameters([(2,)]), seed=0)
        assert list(optimizer.state_dict()) == names


def test_a_rate_that_was_set_wrong_is_refused_by_the_next_step():
    optimizer, parameters = SGD(), make_parameters()
    optimizer.lr = -1.0
    with pytest.raises(ValueError, match=r"`lr` must be in \[0, inf\), got -1"):
        optimizer.step(parameters)


def test_registered_optimizers_take_rate_and_decay_and_sgd_has_nesterov_momentum():
    for entry in OPTIMIZERS.values():
        optimizer = entry.make(lr=entry.lr, weight_decay=entry.weight_decay)
        assert (optimizer.learning_rate, optimizer.weight_decay) == (entry.lr, entry.weight_decay)
    sgd = OPTIMIZERS["sgd"].make()
    assert (sgd.momentum, sgd.nesterov) == (0.9, True)


def test_concrete_optimizers_are_final():
    for optimizer in KINDS:
        assert optimizer.__bases__ == (Optimizer,)
    with pytest.raises(TypeError, match="abstract"):
        Optimizer(0.1)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: SGD(-0.1), ValueError, "`lr` must be in [0, inf), got -0.1"),
        (lambda: SGD(math.nan), ValueError, "`lr` must be in [0, inf), got nan"),
        (lambda: SGD("fast"), TypeError, "`lr` must be a number, got 'fast'"),
        (lambda: SGD(momentum=1), ValueError, "`momentum` must be in [0, 1), got 1"),
        (lambda: SGD(nesterov=True), ValueError, "`nesterov` needs a `momentum` above 0, got 0"),
        (lambda: SGD(weight_decay=-1), ValueError, "`weight_decay` must be in [0, inf), got -1"),
        (lambda: SGD(clip_norm=0), ValueError, "`clip_norm` must be in (0, inf), got 0"),
        (lambda: RMSprop(rho=1), ValueError, "`rho` must be in [0, 1), got 1"),
        (lambda: RMSprop(momentum=-0.1), ValueError, "`momentum` must be in [0, 1), got -0.1"),
        (lambda: RMSprop(eps=0), ValueError, "`eps` must be in (0, inf), got 0"),
        (lambda: Adam(beta1=1.0), ValueError, "`beta1` must be in [0, 1), got 1"),
        (lambda: Adam(beta2=-0.5), ValueError, "`beta2` must be in [0, 1), got -0.5"),
        (lambda: Adam(eps=0), ValueError, "`eps` must be in (0, inf), got 0"),
        (lambda: AdamW(beta1=1), ValueError, "`beta1` must be in [0, 1), got 1"),
        (lambda: AdamW(eps=0), ValueError, "`eps` must be in (0, inf), got 0"),
        (lambda: AdamW(beta2=2), ValueError, "`beta2` must be in [0, 1), got 2"),
        (lambda: AdamW(weight_decay=None), TypeError, "`weight_decay` must be a number, got None"),
    ],
)
def test_optimizer_refuses_wrong_arguments(make, error, sentence):
    with pytest.raises(error, match=f"^{re.escape(sentence)}$"):
        make()


@pytest.mark.parametrize(("dtype", "huge"), [(np.float32, 1e20), (np.float64, 1e200)])
def test_clipping_survives_gradients_whose_squares_overflow(dtype, huge):
    parameter, empty = Parameter(np.zeros(3, dtype)), Parameter(np.zeros((0, 2), dtype))
    parameter.add_grad(np.array([3 * huge, 4 * huge, 0], dtype))
    with np.errstate(over="ignore"):
        SGD(lr=1.0, clip_norm=1.0).step([empty, parameter])
    np.testing.assert_allclose(parameter.value, [-0.6, -0.8, 0], rtol=1e-6)


def test_clip_norm_of_millions_of_equal_gradients():
    parameter = Parameter(np.zeros(3_000_000, np.float32))
    parameter.add_grad(np.full(3_000_000, 0.1, np.float32))
    SGD(lr=1.0, clip_norm=1.0).step([parameter])
    np.testing.assert_allclose(parameter.value, -1 / np.sqrt(3e6), rtol=1e-5)


def test_clipping_makes_nan_of_gradients_whose_norm_no_float_can_hold():
    parameter = Parameter(np.zeros(2))
    parameter.add_grad(np.array([1.7e308, 1.7e308]))
    with np.errstate(over="ignore"):
        SGD(lr=1.0, clip_norm=1.0).step([parameter])
    assert np.isnan(parameter.value).all()


FADING = [SGD(momentum=0.9), RMSprop(momentum=0.9, centered=True), Adam(), AdamW()]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("prototype", FADING, ids=lambda optimizer: type(optimizer).__name__)
def test_what_is_remembered_of_old_gradients_fades_to_zero_and_changes_no_weight(
    prototype, dtype, monkeypatch
):
    def train(steps):
        optimizer, parameter = copy.deepcopy(prototype), Parameter(np.linspace(-1, 1, 5).astype(dtype))
        parameter.add_grad(np.array([1, -1e-3, 0, 1e-9, 5], dtype))
        for _ in range(steps):
            optimizer.step([parameter])
            parameter.zero_grad()
        return parameter.value, optimizer.state_dict()

    steps = 1200 if dtype == np.float32 else 7600
    value, state = train(steps)
    faded = {name: array for name, array in state.items() if name.split(".")[1] in prototype.decaying_slots}
    assert faded
    assert all((array == 0).all() for array in faded.values())
    monkeypatch.setattr(base, "FLUSH_EVERY", 1 << 60)
    unfaded, state = train(steps)
    np.testing.assert_array_equal(value, unfaded)
    assert any((array != 0).any() for name, array in state.items() if name in faded)


def test_a_new_rate_resets_its_scale():
    optimizer = SGD(lr=0.1)
    optimizer.lr_scale = 0.01
    assert optimizer.learning_rate == 0.1 * 0.01
    assert repr(optimizer).startswith("SGD(lr=0.1,")
    optimizer.lr = 0.05
    assert optimizer.learning_rate == 0.05
    optimizer.lr_scale = -1
    with pytest.raises(ValueError, match="`lr_scale` must be"):
        optimizer.learning_rate  # noqa: B018


# --- mistakes in a rule of the user's own -----------------------------------------------------------------


def with_gradients():
    parameters = make_parameters()
    for parameter in parameters:
        parameter.add_grad(np.ones(parameter.shape, parameter.dtype))
    return parameters


@pytest.mark.parametrize(
    ("rule", "error", "message"),
    [
        (Rebinds, RuntimeError, r"Rebinds.update must write into the arrays of `state`, .*forgotten after"),
        (ReturnsNothing, TypeError, r"ReturnsNothing.update must return an array of shape \(.*\), got None"),
        (ReturnsOne, TypeError, r"ReturnsOne.update must return an array of shape .* of shape \(1,\)"),
    ],
)
def test_a_rule_that_loses_its_state_or_its_update_changes_no_weight(rule, error, message):
    parameters = with_gradients()
    before = [parameter.value.copy() for parameter in parameters]
    with pytest.raises(error, match=message):
        rule().step(parameters)
    assert all(np.array_equal(p.value, value) for p, value in zip(parameters, before, strict=True))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (Forgets, "the state m of Forgets is still zero after the first step"),
        (Hides, "Hides.update changes the attributes m; it is called for each block"),
        (Counts, "Counts.update changes the attributes calls"),
    ],
)
def test_a_rule_with_state_in_the_wrong_place_is_told_in_the_first_step(rule, message):
    optimizer = rule()
    with pytest.warns(UserWarning, match=message) as told:
        optimizer.step(with_gradients())
    assert len(told) == 1
    optimizer.step(with_gradients())


def test_the_right_rule_is_not_warned_about():
    ours, theirs = Momentum(), SGD(0.1, momentum=0.9)
    first, second = with_gradients(), with_gradients()
    for _ in range(3):
        ours.step(first)
        theirs.step(second)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_allclose(a.value, b.value, rtol=1e-6)
