import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minicnn import SGD, Dense, Trainer
from minicnn.losses import binary_cross_entropy_with_logits, mean_squared_error, softmax_cross_entropy
from minicnn.parallel import data_parallel

LOSSES = [softmax_cross_entropy, mean_squared_error, binary_cross_entropy_with_logits]


def fitting_labels(loss, shape, rng):
    """Random soft labels that the loss accepts."""
    labels = rng.random(shape)
    return labels / labels.sum(axis=1, keepdims=True) if loss is softmax_cross_entropy else labels


def test_softmax_cross_entropy_equals_a_hand_calculation():
    # softmax of (0, log 3) is (1/4, 3/4); of (log 4, 0), (4/5, 1/5)
    logits = np.array([[0.0, math.log(3)], [math.log(4), 0.0]])
    loss, dlogits = softmax_cross_entropy(logits, np.array([1, 1]))
    assert type(loss) is float
    assert loss == pytest.approx(-(math.log(3 / 4) + math.log(1 / 5)) / 2, rel=1e-15)
    np.testing.assert_allclose(dlogits, [[1 / 8, -1 / 8], [2 / 5, -2 / 5]], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64, bool, np.float32])
def test_softmax_cross_entropy_one_hot_equals_integer_labels(dtype):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(7, 4)), rng.integers(0, 4, 7)
    loss, dlogits = softmax_cross_entropy(logits, labels)
    one_hot_loss, one_hot_dlogits = softmax_cross_entropy(logits, np.eye(4, dtype=dtype)[labels])
    assert one_hot_loss == pytest.approx(loss, rel=1e-15)
    np.testing.assert_allclose(one_hot_dlogits, dlogits, rtol=1e-14, atol=1e-17)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_softmax_cross_entropy_of_huge_logits_is_exact(dtype):
    loss, dlogits = softmax_cross_entropy(np.array([[1e4, -1e4], [1e4, 0.0]], dtype), [1, 0])
    assert loss == 1e4  # (2e4 + 0) / 2
    assert dlogits.tolist() == [[0.5, -0.5], [0.0, 0.0]]


def test_softmax_cross_entropy_that_is_certain_and_right_is_plus_zero():
    loss, _ = softmax_cross_entropy(np.array([[1e4, 0.0]]), [0])
    assert str(loss) == "0.0"
    loss, _ = softmax_cross_entropy(np.array([[1e4, 0.0]]), [[1, 0]])
    assert str(loss) == "0.0"


def test_mean_squared_error_equals_a_hand_calculation_for_any_shape():
    loss, d = mean_squared_error(np.array([[[1.0], [2.0]], [[4.0], [8.0]]]), [[[1], [1]], [[1], [1]]])
    assert loss == (0 + 1 + 9 + 49) / 4
    assert d.tolist() == [[[0.0], [0.5]], [[1.5], [3.5]]]


def test_binary_cross_entropy_equals_a_hand_calculation():
    loss, d = binary_cross_entropy_with_logits(np.array([[math.log(3)], [-math.log(4)]]), [[1], [0.5]])
    # sigmoid is 3/4 and 1/5
    expected = -(math.log(3 / 4) + 0.5 * math.log(1 / 5) + 0.5 * math.log(4 / 5)) / 2
    assert loss == pytest.approx(expected, rel=1e-14)
    np.testing.assert_allclose(d, [[-1 / 8], [(1 / 5 - 1 / 2) / 2]], rtol=1e-14)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_cross_entropy_of_large_logits_is_exact(dtype):
    loss, d = binary_cross_entropy_with_logits(np.array([1e4, -1e4, 1e4, -1e4], dtype), [1, 0, 0, 1])
    assert loss == 5e3
    assert d.tolist() == [0.0, 0.0, 0.25, -0.25]
    loss, _ = binary_cross_entropy_with_logits(np.array([20.0], dtype), [1])
    assert loss == pytest.approx(math.exp(-20), rel=1e-6)  # where log(1 + exp(20)) - 20 would leave nothing


@pytest.mark.parametrize("loss", LOSSES)
@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 2**32))
def test_loss_gradient_is_the_derivative(loss, n, k, seed):
    rng = np.random.default_rng(seed)
    x, direction = rng.normal(size=(n, k)), rng.normal(size=(n, k))
    labels = fitting_labels(loss, (n, k), rng)
    _, dx = loss(x, labels)
    ahead, behind = loss(x + 1e-6 * direction, labels)[0], loss(x - 1e-6 * direction, labels)[0]
    assert np.vdot(dx, direction) == pytest.approx((ahead - behind) / 2e-6, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_loss_keeps_the_dtype_and_writes_into_nothing(loss, dtype):
    rng = np.random.default_rng(0)
    predictions = rng.normal(size=(6, 3)).astype(dtype)
    labels = fitting_labels(loss, (6, 3), rng)
    predictions.flags.writeable = labels.flags.writeable = False
    value, gradient = loss(predictions, labels)
    assert type(value) is float
    assert gradient.dtype == dtype
    again, _ = loss(predictions, labels)
    assert again == value


def test_softmax_cross_entropy_of_rows_that_sum_to_almost_one_has_the_exact_gradient():
    """What is within the rounding of labels is taken as it is: not the labels' sum is 1, but nearly."""
    labels = np.array([[0.5, 0.4992, 0.0], [0.25, 0.25, 0.5008]])
    x = np.array([[1.0, -0.5, 0.2], [0.3, 2.0, -1.0]])
    _, dx = softmax_cross_entropy(x, labels)
    for i in np.ndindex(x.shape):
        step = np.zeros(x.shape)
        step[i] = 1e-6
        slope = (
            softmax_cross_entropy(x + step, labels)[0] - softmax_cross_entropy(x - step, labels)[0]
        ) / 2e-6
        assert dx[i] == pytest.approx(slope, abs=1e-8)


@pytest.mark.parametrize("hot", [False, True])
@pytest.mark.parametrize("loss", LOSSES)
def test_the_mean_over_a_large_batch_of_float32_is_not_rounded_to_float32(loss, hot):
    """Of many equal examples it is what one of them has."""
    x = np.array([[0.3, -1.7, 0.9]], np.float32)
    label = np.array([[0, 1, 0]]) if hot or loss is not softmax_cross_entropy else np.array([1])
    many = loss(np.repeat(x, 50_001, axis=0), np.repeat(label, 50_001, axis=0))[0]
    assert many == pytest.approx(loss(x, label)[0], rel=1e-12)


@pytest.mark.parametrize("loss", LOSSES)
def test_loss_of_what_is_no_batch_of_floats_is_refused(loss):
    with pytest.raises(ValueError, match="at least one example, got an empty batch of shape"):
        loss(np.zeros((0, 3)), np.zeros((0, 3)))
    with pytest.raises(TypeError, match="predictions must be floats, got int64"):
        loss(np.zeros((2, 3), np.int64), np.zeros((2, 3)))


@pytest.mark.parametrize("labels", [[0], [[0], [1]], [[0, 1, 0]], [[0, 1], [1, 0]], 1])
def test_softmax_cross_entropy_refuses_labels_of_another_shape(labels):
    with pytest.raises(ValueError, match=r"labels \(N,\) or \(N, K\), got \(2, 3\) and "):
        softmax_cross_entropy(np.zeros((2, 3)), labels)


def test_softmax_cross_entropy_refuses_logits_that_are_no_matrix():
    with pytest.raises(ValueError, match=r"logits must have shape \(N, K\)"):
        softmax_cross_entropy(np.zeros((2, 3, 4)), [0, 1])


@pytest.mark.parametrize(
    ("labels", "error", "sentence"),
    [
        ([0, 3], ValueError, r"class indices in \[0, 3\), got 3"),
        ([-1, 0], ValueError, r"class indices in \[0, 3\), got -1"),
        ([0.0, 1.0], TypeError, "must be integers, got float64"),
        ([[0, 1, 0], [0, -1, 2]], ValueError, "must not be negative, got -1"),
        ([[0, 1, 0], [0, 1, 1]], ValueError, "must sum to 1, got a sum of 2"),
        ([[0, 1, 0], [0, math.nan, 1]], ValueError, "must not be negative, got nan"),
    ],
)
def test_softmax_cross_entropy_refuses_what_are_no_labels(labels, error, sentence):
    with pytest.raises(error, match=sentence):
        softmax_cross_entropy(np.zeros((2, 3)), labels)


@pytest.mark.parametrize("loss", [mean_squared_error, binary_cross_entropy_with_logits])
def test_elementwise_loss_refuses_to_broadcast(loss):
    with pytest.raises(ValueError, match=r"the predictions' shape \(2, 3\), got \(2, 1\)"):
        loss(np.zeros((2, 3)), np.zeros((2, 1)))


@pytest.mark.parametrize("wrong", [-0.1, 1.1, math.nan])
def test_binary_cross_entropy_refuses_what_is_no_probability(wrong):
    with pytest.raises(ValueError, match=r"labels must be in \[0, 1\], got"):
        binary_cross_entropy_with_logits(np.zeros((2, 1)), [[0.5], [wrong]])


# --- infinite logits, and examples that do not count --------------------------------------------------------


@pytest.fixture
def strict():
    """Let NumPy raise for any floating-point error."""
    with np.errstate(all="raise"):
        yield


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("form", ["indices", "one-hot rows", "soft rows"])
def test_a_class_whose_logit_is_minus_infinity_is_as_if_it_were_not_there(form, dtype):
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(8, 4)).astype(dtype), rng.integers(0, 3, 8)
    if form != "indices":
        labels = np.eye(3)[labels] if form == "one-hot rows" else rng.dirichlet(np.ones(3), 8)
    without = softmax_cross_entropy(logits[:, :3], labels)
    logits[:, 3] = -np.inf
    if form != "indices":
        labels = np.concatenate([labels, np.zeros((8, 1))], axis=1)
    loss, dlogits = softmax_cross_entropy(logits, labels)
    assert loss == pytest.approx(without[0], rel=1e-6)
    np.testing.assert_allclose(dlogits[:, :3], without[1], rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(dlogits[:, 3], 0)


@pytest.mark.usefixtures("strict")
def test_a_label_that_an_infinite_logit_excludes_costs_infinitely_much():
    logits = np.array([[-np.inf, 0.0], [1.0, 2.0]])
    for labels in ([0, 1], [[1, 0], [0, 1]], [[0.1, 0.9], [0, 1]]):
        assert softmax_cross_entropy(logits, labels)[0] == np.inf
    assert softmax_cross_entropy(logits, [1, 1], label_smoothing=0.1)[0] == np.inf


@pytest.mark.usefixtures("strict")
def test_an_infinite_logit_of_a_binary_label_costs_nothing_or_infinitely_much():
    logits = np.array([[np.inf], [-np.inf], [0.0]])
    loss, dlogits = binary_cross_entropy_with_logits(logits, [[1], [0], [1]])
    assert loss == pytest.approx(math.log(2) / 3)
    np.testing.assert_allclose(dlogits, [[0], [0], [-0.5 / 3]])
    for labels in ([[0], [0], [1]], [[1], [1], [1]], [[0.5], [0], [1]]):
        assert binary_cross_entropy_with_logits(logits, labels)[0] == np.inf


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("value", [-np.inf, np.nan, 3e38])
@pytest.mark.parametrize("loss", LOSSES)
def test_an_example_of_weight_0_has_no_influence_whatever_its_predictions(loss, value):
    rng = np.random.default_rng(0)
    predictions, labels = rng.normal(size=(5, 3)), fitting_labels(loss, (5, 3), rng)
    weights = np.array([1.0, 0.0, 2.0, 0.5, 0.0])
    expected, gradient = loss(predictions, labels, weights)
    changed = predictions.copy()
    changed[[1, 4], 0] = value
    got, found = loss(changed, labels, weights)
    assert got == pytest.approx(expected)
    np.testing.assert_allclose(found, gradient)
    np.testing.assert_array_equal(found[[1, 4]], 0)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_an_excluded_class_is_as_one_that_does_not_exist(seed, soft):
    rng = np.random.default_rng(seed)
    n, classes, excluded = 4, 5, rng.integers(5)
    logits, rest = rng.normal(size=(n, classes)) * 3, np.arange(classes) != excluded
    logits[:, excluded] = -np.inf
    rows = np.zeros((n, classes))
    rows[:, rest] = rng.dirichlet(np.ones(classes - 1), n) if soft else np.eye(4)[rng.integers(4, size=n)]
    labels = rows if soft or rng.random() < 0.5 else rows.argmax(axis=1)
    weights = rng.random(n) * rng.integers(0, 2, n)
    loss, dlogits = softmax_cross_entropy(logits, labels, weights)
    expected, derivative = softmax_cross_entropy(logits[:, rest], rows[:, rest], weights)
    assert loss == pytest.approx(expected, rel=1e-12, abs=1e-12)
    np.testing.assert_allclose(dlogits[:, rest], derivative, atol=1e-12)
    assert not dlogits[:, excluded].any()


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_what_infinite_logits_mean_for_the_cross_entropy(smoothing):
    def loss(row, label, weight=1.0):
        with np.errstate(invalid="ignore"):
            return softmax_cross_entropy(np.array([row, [0.0, 0.0, 0.0]]), [label, 0], [weight, 1], smoothing)

    inf = np.inf
    assert loss([-inf, 0.0, 0.0], 0)[0] == inf  # the excluded class is the label
    assert np.isfinite(loss([-inf, 0.0, 0.0], 1)[0]) == (smoothing == 0)
    for row, label in (([inf, 0.0, 0.0], 0), ([inf, inf, 0.0], 0), ([-inf] * 3, 1), ([np.nan, 0.0, 0.0], 1)):
        assert np.isnan(loss(row, label)[0])
    for row in ([-inf, 0.0, 0.0], [inf, 0.0, 0.0], [-inf] * 3, [np.nan] * 3):
        value, derivative = loss(row, 0, weight=0.0)
        assert value == pytest.approx(np.log(3) / 2)
        assert not derivative[0].any()


@pytest.mark.parametrize("threads", [1, 2])
def test_labels_of_weight_0_may_be_missing_in_a_fit(threads, monkeypatch):
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", 1)
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(12, 4)).astype(np.float32), rng.normal(size=(12, 2)).astype(np.float32)
    weights, missing = np.arange(12) % 3 / 2, y.copy()
    missing[weights == 0] = np.nan
    found = []
    for labels in (y, missing):
        model = Dense(2).build((4,), rng=0)
        trainer = Trainer(model, SGD(0.1), mean_squared_error, threads=threads, workers="threads")
        validation = x, labels, weights
        history = trainer.fit(
            x, labels, 2, 4, sample_weight=weights, validation_data=validation, verbose=0
        ).history
        found.append((history, trainer.evaluate(x, labels, sample_weight=weights), model.get_weights()))
    assert found[0][:2] == found[1][:2]
    assert all(map(np.array_equal, found[0][2], found[1][2]))
    weights[0] = 1.0
    with pytest.raises(
        ValueError, match=r"^`y` has NaN or infinite values in 1 example of 12, .* number 0: rem"
    ):
        Trainer(Dense(2).build((4,)), SGD(), mean_squared_error).fit(x, missing, sample_weight=weights)
    x[5] = np.inf
    with pytest.raises(
        ValueError, match=r"^`x` has NaN or infinite values in 1 example of 12, .* number 5: rem"
    ):
        Trainer(Dense(2).build((4,)), SGD(), mean_squared_error).fit(x, y, sample_weight=weights)
