"""Checks of losses, metrics and optimizers: those of the package pass, wrong ones are found by name."""

import math

import numpy as np
import pytest

from minicnn import SGD, Adam, AdamW, RMSprop
from minicnn.losses import binary_cross_entropy_with_logits, mean_squared_error, softmax_cross_entropy
from minicnn.metrics import accuracy, macro_f1, macro_precision, macro_recall, top_k_accuracy
from minicnn.testing import AdamSteps, LayerCheckError, SGDSteps, check_loss, check_metric, check_optimizer


def failed(check, *arguments, **options):
    with pytest.raises(LayerCheckError) as caught:
        check(*arguments, **options)
    return caught.value.failures[0]


# --- losses -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("loss", "shape", "labels"),
    [
        (softmax_cross_entropy, (10,), "classes"),
        (softmax_cross_entropy, (4,), lambda rng, shape: rng.dirichlet(np.ones(4), shape[0])),
        (binary_cross_entropy_with_logits, (3,), "binary"),
        (mean_squared_error, (3, 2), "values"),
    ],
)
def test_losses_of_the_package_pass(loss, shape, labels):
    check_loss(loss, shape, labels)


def squares(p, y):
    return float(((p - y) ** 2).sum() / len(p)), 2 * (p - y) / len(p)


def test_own_losses_pass():
    check_loss(squares, (3,), "values")
    check_loss(lambda p, y: (float(((p - y) ** 2).sum()), 2 * (p - y)), (3,), "values", mean=False)

    def likelihood(p, y):
        own, gradient = p[np.arange(len(p)), y], np.zeros_like(p)
        gradient[np.arange(len(p)), y] = -1 / own / len(p)
        return -float(np.log(own).mean()), gradient

    def probabilities(rng, shape):
        return rng.dirichlet(np.ones(shape[-1]), shape[0]) + 0.01

    check_loss(likelihood, (4,), predictions=probabilities)


def softmax_that_overflows(p, y):
    e = np.exp(p)
    q = e / e.sum(axis=1, keepdims=True)
    gradient = q.copy()
    gradient[np.arange(len(p)), y] -= 1
    return -float(np.log(q[np.arange(len(p)), y]).mean()), gradient / len(p)


def one_maximum_for_the_batch(p, y):
    z, own = p - p.max(), (np.arange(len(p)), y)
    sums = np.exp(z).sum(axis=1, keepdims=True)
    gradient = np.exp(z) / sums
    gradient[own] -= 1
    return float((np.log(sums)[:, 0] - z[own]).mean()), gradient / len(p)


def squares_in_place(p, y):
    p -= y
    return float((p**2).sum() / len(p)), 2 * p / len(p)


@pytest.mark.parametrize(
    ("loss", "labels", "check", "text"),
    [
        (lambda p, y: (squares(p, y)[0], 2 * (p - y)), "values", "gradient", "of a sum over the batch"),
        (lambda p, y: (squares(p, y)[0], (p - y) / len(p)), "values", "gradient", "a missing factor 2"),
        (lambda p, y: (squares(p, y)[0], -squares(p, y)[1]), "values", "gradient", "the sign"),
        (lambda p, y: (squares(p, y)[0] * len(p), 2 * (p - y)), "values", "mean", "a sum over the batch"),
        (lambda p, y: squares(p, y)[0], "values", "results", "must return (value, dpredictions)"),
        (lambda p, y: ((p - y) ** 2, 2 * (p - y)), "values", "results", "one finite number"),
        (lambda p, y: (squares(p, y)[0], squares(p, y)[1][:1]), "values", "results", "predictions' shape"),
        (
            lambda p, y: (squares(p, y)[0], np.float64(1) * squares(p, y)[1].astype(float)),
            "values",
            "results",
            "predictions' dtype",
        ),
        (squares_in_place, "values", "borrowed", "`predictions` is changed"),
        (softmax_that_overflows, "classes", "finite", "subtract the maximum"),
        (one_maximum_for_the_batch, "classes", "finite", "a maximum over the batch"),
        (
            lambda p, y: (squares(p[:64], y[:64])[0], squares(p, y)[1]),
            "values",
            "batches",
            "a limit on the batch size",
        ),
    ],
)
def test_wrong_losses_are_found(loss, labels, check, text):
    failure = failed(check_loss, loss, (3,), labels)
    assert failure.check == check
    assert text in str(failure)


def test_wrong_arguments_of_check_loss_raise_clear_errors():
    with pytest.raises(ValueError, match="`labels` must be a function or among classes, binary, values"):
        check_loss(squares, (3,), "numbers")
    with pytest.raises(ValueError, match="`batch_size` must be"):
        check_loss(squares, (3,), "values", batch_size=1)


# --- metrics ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [accuracy, macro_f1, macro_precision, macro_recall])
def test_metrics_of_the_package_pass(metric):
    check_metric(metric, (4,))


def test_means_of_the_package_are_means():
    check_metric(accuracy, (4,), mean=True)
    check_metric(top_k_accuracy, (7,), mean=True)


@pytest.mark.parametrize(
    ("metric", "options", "check", "text"),
    [
        (lambda p, y: (p.argmax(1) == y).sum(), {}, "examples", "a sum or a count in place of a mean"),
        (lambda p, y: float(p[0].argmax() == y[0]), {}, "examples", "order of the examples"),
        (lambda p, y: p.argmax(1) == y, {}, "results", "one finite number"),
        (macro_f1, {"mean": True}, "mean", "leave `mean_over_examples` unset"),
        (accuracy, {"reference": macro_f1}, "reference", "differs from the reference"),
    ],
)
def test_wrong_metrics_are_found(metric, options, check, text):
    failure = failed(check_metric, metric, (3,), **options)
    assert failure.check == check
    assert text in str(failure)


# --- optimizers -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "reference"),
    [
        (lambda: SGD(0.1), SGDSteps(0.1)),
        (lambda: SGD(0.1, momentum=0.9, weight_decay=0.1), SGDSteps(0.1, 0.9, weight_decay=0.1)),
        (
            lambda: SGD(0.1, momentum=0.9, nesterov=True, weight_decay=0.1, decoupled=False),
            SGDSteps(0.1, 0.9, nesterov=True, weight_decay=0.1, decoupled=False),
        ),
        (lambda: Adam(0.01), AdamSteps(0.01)),
        (lambda: AdamW(0.01, weight_decay=0.1), AdamSteps(0.01, weight_decay=0.1)),
        (lambda: RMSprop(0.01, momentum=0.9), None),
    ],
)
def test_optimizers_of_the_package_pass(make, reference):
    check_optimizer(make, reference)


class OwnAdam:
    """Adam as people write it, with a switch for each mistake."""

    def __init__(self, corrected=True, coupled=0.0, decoupled=0.0, shared=False, rebinds=False, freeze=True):
        self.corrected, self.coupled, self.decoupled = corrected, coupled, decoupled
        self.shared, self.rebinds, self.freeze = shared, rebinds, freeze
        self.t, self.m, self.v = 0, [], []

    def step(self, parameters):
        self.t += 1
        if not self.m:
            self.m = [np.zeros_like(p.value) for p in parameters]
            self.v = [np.zeros_like(p.value) for p in parameters]
            if self.shared:
                self.m = [self.m[0] if m.shape == self.m[0].shape else m for m in self.m]
        for i, p in enumerate(parameters):
            if not p.trainable and self.freeze:
                continue
            grad = p.grad + self.coupled * p.value
            self.m[i] *= 0.9
            self.m[i] += 0.1 * grad
            self.v[i] *= 0.999
            self.v[i] += 0.001 * grad**2
            if self.rebinds:
                self.m[i] = self.m[i] + 0.0
            c1, c2 = (1 - 0.9**self.t, 1 - 0.999**self.t) if self.corrected else (1.0, 1.0)
            p.value *= 1 - 0.01 * self.decoupled
            p.value -= 0.01 * (self.m[i] / c1) / (np.sqrt(self.v[i] / c2) + 1e-8)


REFERENCE = AdamSteps(0.01, eps=1e-8, eps_hat=False)
DECAYING = AdamSteps(0.01, eps=1e-8, eps_hat=False, weight_decay=0.1)


def test_an_optimizer_with_eps_as_in_pytorch_passes():
    check_optimizer(OwnAdam, REFERENCE)
    check_optimizer(lambda: OwnAdam(decoupled=0.1), DECAYING)


class Keeps(OwnAdam):
    def step(self, parameters):
        for p in parameters:
            p.rebind(p.value - 0.01 * p.grad, p.grad)


@pytest.mark.parametrize(
    ("make", "reference", "check", "text"),
    [
        (lambda: OwnAdam(corrected=False), REFERENCE, "reference", "cause  no bias correction"),
        (lambda: OwnAdam(coupled=0.1), DECAYING, "reference", "weight decay through the gradient"),
        (OwnAdam, DECAYING, "reference", "no weight decay"),
        (lambda: OwnAdam(decoupled=10.0), DECAYING, "reference", "weight decay without the learning rate"),
        (OwnAdam, AdamSteps(0.01, eps=1e-3), "reference", "differs from that of the reference"),
        (lambda: OwnAdam(shared=True), REFERENCE, "reference", "state that parameters share"),
        (lambda: OwnAdam(shared=True), None, "independent", "state that parameters share"),
        (lambda: OwnAdam(rebinds=True), None, "state", "new arrays"),
        (lambda: OwnAdam(freeze=False), None, "frozen", "not trainable"),
        (Keeps, None, "results", "in another array"),
        (lambda: SGD(0.0), None, "results", "does not change the parameters"),
        (lambda: Adam(0.01), AdamSteps(0.01, eps_hat=False, eps=1e-3), "reference", "differs"),
    ],
)
def test_wrong_optimizers_are_found(make, reference, check, text):
    failure = failed(check_optimizer, make, reference)
    assert failure.check == check
    assert text in str(failure)


def test_clipping_by_one_norm_skips_independence():
    check_optimizer(lambda: Adam(0.01, clip_norm=0.1), skip=["independent"])
    with pytest.raises(ValueError, match="check names must be among results"):
        check_optimizer(lambda: Adam(0.01), skip=["nothing"])


def test_references_are_the_formulas_by_hand():
    value, grad = np.array([1.0]), np.array([2.0])
    root = math.sqrt(0.001 * 4)
    hand = 1 - 0.1 * math.sqrt(1 - 0.999) / (1 - 0.9) * 0.2 / (root + 1e-7)
    np.testing.assert_allclose(AdamSteps(0.1)(value, [grad]), hand, rtol=1e-12)
    np.testing.assert_allclose(SGDSteps(0.1, momentum=0.5)(value, [grad, grad]), 1 - 0.2 - 0.3, rtol=1e-12)
