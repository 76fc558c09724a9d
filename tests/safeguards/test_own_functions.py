"""Losses and metrics of the user's: what the first batch tells of them."""

import functools
import warnings

import numpy as np
import pytest

from minicnn import SGD, Dense, Layer, Sequential, Trainer
from minicnn.losses import binary_cross_entropy_with_logits, mean_squared_error, softmax_cross_entropy
from minicnn.safeguards.own_functions import call_with_copies, check_arguments, warn_of_gradient
from minicnn.safeguards.user_code import is_own

RNG = np.random.default_rng(0)
P = RNG.normal(size=(12, 3)).astype(np.float32)
LABELS, ROWS = np.arange(12) % 3, np.eye(3, dtype=np.float32)[np.arange(12) % 3]
X = RNG.normal(size=(12, 4)).astype(np.float32)


def trainer(loss, **options):
    return Trainer(Dense(3).build((4,), rng=0), SGD(0.01), loss, **{"threads": 1} | options)


def fit(loss, y=LABELS, **options):
    return trainer(loss, **options).fit(X, y, 1, 12, verbose=0)


def own(change, loss=softmax_cross_entropy):
    """Return a loss of the user's whose gradient is changed."""

    def own_loss(predictions, labels, sample_weight=None):
        value, gradient = loss(predictions, labels, sample_weight)
        return value, change(gradient).astype(predictions.dtype)

    return own_loss


def focal(predictions, labels):
    """A right loss, written by hand: -(1 - p)^2 log(p)."""
    p = np.exp(predictions - predictions.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    true = p[np.arange(len(labels)), labels][:, None]
    slope = 2 * (1 - true) * np.log(true) - (1 - true) ** 2 / true  # by the probability of the label
    one_hot = np.eye(p.shape[1])[labels]
    return float((-((1 - true) ** 2) * np.log(true)).mean()), (
        (slope * true * (one_hot - p)) / len(p)
    ).astype(predictions.dtype)


def absolute(predictions, labels):
    return float(np.abs(predictions - labels).mean()), np.sign(predictions - labels) / predictions.size


def hinge(predictions, labels):
    sign = 2 * labels - 1
    inside = (1 - sign * predictions) > 0
    return float(np.maximum(1 - sign * predictions, 0).mean()), -sign * inside / predictions.size


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("loss", "labels"),
    [(focal, LABELS), (absolute, ROWS), (hinge, ROWS)]
    + [(own(lambda g: g, loss), ROWS) for loss in (mean_squared_error, binary_cross_entropy_with_logits)],
)
def test_a_right_loss_is_not_warned_of(loss, labels, dtype):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for seed in range(20):
            predictions = np.random.default_rng(seed).normal(size=(12, 3)).astype(dtype)
            warn_of_gradient(loss, predictions, labels)
            check_arguments("the loss", loss, predictions, labels)


def test_a_right_loss_in_float32_is_not_warned_of():
    def rounded(predictions, labels):
        return own(lambda g: g)(predictions.astype(np.float32), labels)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_gradient(rounded, P, LABELS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda g: g * len(g), "12 times the derivative of its value, a mean over examples: divide it by 12"),
        (lambda g: g * g.size, "36 times the derivative of its value, a mean over elements: divide it by 36"),
        (lambda g: -g, "-1 times the derivative of its value: with this sign, it is maximized"),
        (lambda g: g / 2, "0.5 times the derivative of its value, so the learning rate is, too"),
        (lambda g: g * 0, "zero for the whole first batch"),
        (np.sign, "not the derivative of its value, by finite differences"),
        (lambda g: g[::-1], "not the derivative of its value, by finite differences"),
    ],
)
def test_another_gradient_is_named_before_the_first_step(change, message):
    with pytest.warns(UserWarning, match=f"the loss own_loss returns is {message}"):
        fit(own(change))


@pytest.mark.parametrize(
    "options", [{}, {"sample_weight": np.arange(12.0)}, {"class_weight": {0: 3.0}}, {"accumulate_steps": 2}]
)
def test_weights_and_accumulated_batches_change_nothing_of_it(options):
    trainer(own(lambda g: g)).fit(X, LABELS, 1, 4, verbose=0, **options)
    with pytest.warns(UserWarning, match="-1 times the derivative"):
        trainer(own(np.negative)).fit(X, LABELS, 1, 4, verbose=0, **options)


def test_a_value_that_does_not_depend_on_the_predictions_is_named():
    with pytest.warns(UserWarning, match="which does not change with the predictions"):
        fit(lambda predictions, labels: (0.5, predictions))


def test_a_random_loss_is_left_alone():
    rng = np.random.default_rng(0)

    def noisy(predictions, labels):
        noise = rng.normal(size=predictions.shape).astype(predictions.dtype)
        return softmax_cross_entropy(predictions + noise, labels)

    fit(noisy)


def test_workers_and_one_thread_say_the_same():
    for threads in (1, 2):
        with pytest.warns(UserWarning, match="-1 times the derivative"):
            fit(own(np.negative), threads=threads)


# --- arguments --------------------------------------------------------------------------------------------


def writing(which, times=0):
    def write(predictions, labels):
        result = softmax_cross_entropy(predictions, labels)
        array = (predictions, labels)[which]
        array[...] = array * times
        return result

    return write


@pytest.mark.parametrize("times", [0, 2])  # the second time, 0 changes nothing
@pytest.mark.parametrize("which", [0, 1])
def test_a_loss_that_writes_into_its_arguments_is_refused_before_the_first_step(which, times):
    own, y = trainer(writing(which, times)), LABELS.copy()
    before = own.model.get_weights()
    with pytest.raises(ValueError, match="the loss write must not write into its arguments"):
        own.fit(X, y, 1, 12, verbose=0)
    np.testing.assert_array_equal(y, LABELS)
    np.testing.assert_array_equal(own.model.get_weights()[0], before[0])


@pytest.mark.parametrize("is_mean", [False, True])
@pytest.mark.parametrize("which", [0, 1])
def test_a_metric_that_writes_into_its_arguments_is_refused_before_the_first_step(which, is_mean):
    def metric(predictions, labels):
        return writing(which)(predictions, labels)[0]

    metric.mean_over_examples = is_mean
    y, own = LABELS.copy(), trainer(softmax_cross_entropy, metrics={"own": metric})
    with pytest.raises(ValueError, match="the metric 'own' must not write into its arguments"):
        own.fit(X, y, 1, 12, verbose=0)
    assert own.optimizer.steps == 0
    np.testing.assert_array_equal(y, LABELS)


def test_evaluate_gives_copies():
    y, own = LABELS.copy(), trainer(writing(1), metrics={})
    with pytest.raises(ValueError, match="must not write into its arguments"):
        own.evaluate(X, y)
    np.testing.assert_array_equal(y, LABELS)


def test_whose_function_it_is():
    assert is_own(absolute)
    assert is_own(functools.partial(absolute))
    assert not is_own(softmax_cross_entropy)
    assert not is_own(functools.partial(softmax_cross_entropy, label_smoothing=0.1))
    assert call_with_copies("f", lambda a: a.sum(), np.array([1.0, np.nan])) != 0


# --- global streams ---------------------------------------------------------------------------------------


class Noise(Layer):
    def forward(self, x):
        return x + (np.random.normal(size=x.shape).astype(x.dtype) if self.training else 0)  # noqa: NPY002

    def backward(self, dy):
        return dy * 1


def test_global_random_numbers_of_the_users_code_are_warned_of():
    import random

    def augment(x, rng):
        return x + np.float32(random.random())

    with pytest.warns(UserWarning, match="`augment` draws from the global stream of random, so neither"):
        fit(softmax_cross_entropy, augment=augment)
    model = Sequential([Noise(), Dense(3)]).build((4,), rng=0)
    with pytest.warns(UserWarning, match=r"the model or the loss draws from the global stream of np\.random"):
        Trainer(model, SGD(0.01), threads=1).fit(X, LABELS, verbose=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(softmax_cross_entropy, augment=lambda x, rng: x + rng.normal(size=x.shape).astype(np.float32))
