import numpy as np
import pytest

from minicnn import SGD, Adam, Dense, Dropout, ReLU, Sequential, Trainer
from minicnn.losses import mean_squared_error, softmax_cross_entropy

X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64)


def net():
    return Sequential([Dense(6), ReLU(), Dropout(0.2), Dense(2)]).build((4,), rng=0)


def test_lr_find_equals_a_loop_by_hand():
    trainer = Trainer(Dense(2).build((4,), rng=0), SGD(0.1), seed=3, threads=1)
    found = trainer.lr_find(X, Y, 25, low=0.01, high=1.0, steps=5)
    model, mean, losses = Dense(2).build((4,), rng=0).train(), 0.0, []
    batches = [
        np.random.default_rng([3, epoch]).permutation(60)[start : start + 25]
        for epoch in (0, 1)
        for start in (0, 25, 50)
    ]
    for i, (batch, rate) in enumerate(zip(batches, np.geomspace(0.01, 1.0, 5), strict=False)):
        loss, dlogits = softmax_cross_entropy(model(X[batch]), Y[batch])
        mean = 0.9 * mean + 0.1 * loss
        losses.append(mean / (1 - 0.9 ** (i + 1)))
        model.zero_grad()
        model.backward(dlogits)
        SGD(rate).step(model.parameters())
    np.testing.assert_allclose(found.rates, np.geomspace(0.01, 1.0, 5), rtol=1e-12)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-6)
    assert found.suggestion == found.rates[int(np.argmin(losses))] / 10


def test_lr_find_changes_nothing():
    one, other = (Trainer(net(), Adam(0.01), threads=2, workers="threads") for _ in range(2))
    for trainer in (one, other):
        trainer.fit(X, Y, epochs=1, verbose=0)
    one.lr_find(X, Y, steps=20)
    assert one.optimizer.learning_rate == 0.01
    for trainer in (one, other):
        trainer.fit(X, Y, epochs=1, verbose=0)
    assert (one.epoch, one.optimizer.steps) == (other.epoch, other.optimizer.steps)
    for mine, theirs in zip(one.model.get_weights(), other.model.get_weights(), strict=True):
        assert np.array_equal(mine, theirs)


def test_lr_find_suggests_a_rate_at_which_a_parabola_converges():
    # The loss is the mean of (w - y)^2 over batches: w finds the mean of y for rates below 1, and flies off
    # above.
    x, y = np.ones((256, 1), np.float32), 3 + np.random.default_rng(0).normal(size=(256, 1))
    model = Dense(1, use_bias=False).build((1,), rng=0)
    found = Trainer(model, SGD(0.1), mean_squared_error, workers="threads").lr_find(
        x, y, 16, low=1e-4, high=100, steps=100
    )
    assert 1.0 < found.rates[-1] < 10.0  # it ended when the loss had flown off
    assert 0.005 < found.suggestion < 0.2


@pytest.mark.parametrize("optimizer", [SGD(0.1, momentum=0.9), Adam(0.01)], ids=["SGD", "Adam"])
def test_lr_find_of_a_trained_net_is_not_misled_by_the_noise_of_its_first_steps(optimizer):
    trainer = Trainer(net(), optimizer, threads=1)
    trainer.fit(X, Y, 3, 10, verbose=0)
    before = trainer.evaluate(X, Y)["loss"]
    suggestion = trainer.lr_find(X, Y, 10, steps=100).suggestion
    assert suggestion > 1e-5
    trainer.optimizer.lr = suggestion
    trainer.fit(X, Y, 10, 10, verbose=0)
    assert trainer.evaluate(X, Y)["loss"] < before


def test_lr_find_takes_batches_and_augments():
    seen = []

    def augment(images, rng):
        seen.append(rng.random())
        return images

    trainer = Trainer(net(), SGD(0.1), augment=augment, seed=5, threads=1)
    found = trainer.lr_find([(X[:30], Y[:30]), (X[30:], Y[30:])], steps=3, low=0.1, high=0.4)
    np.testing.assert_allclose(found.rates, [0.1, 0.2, 0.4])
    assert seen == [
        np.random.default_rng(seeds).random() for seeds in ([5, 0, 1, 0], [5, 0, 2, 0], [5, 1, 1, 0])
    ]


def test_an_error_of_augment_does_not_end_lr_find_as_a_divergence():
    def augment(images, rng):
        with np.errstate(divide="raise"):
            return images / np.zeros_like(images)

    trainer = Trainer(net(), SGD(0.1), augment=augment, threads=1)
    with pytest.raises(FloatingPointError, match="divide by zero"):
        trainer.lr_find(X, Y, steps=3)


def test_lr_find_refuses_what_it_cannot_search():
    trainer = Trainer(net(), SGD(0.1), workers="threads")
    with pytest.raises(ValueError, match=r"`high` must be in \(1, inf\), got 0.1"):
        trainer.lr_find(X, Y, low=1.0, high=0.1)
    with pytest.raises(ValueError, match="`steps` must be at least 2, got 1"):
        trainer.lr_find(X, Y, steps=1)
    trainer.model[0].bias.value = np.full(6, np.nan)
    with pytest.raises(FloatingPointError, match="the loss is nan before the first step"):
        trainer.lr_find(X, Y)
