import numpy as np

from minicnn import SGD, Dense, Dropout, ReLU, Sequential, Trainer
from minicnn.insight import Distributions
from minicnn.losses import softmax_cross_entropy

X = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
Y = np.arange(30) % 2


def net(drop=0.0):
    return Sequential([Dense(6), ReLU(), Dropout(drop), Dense(2)]).build((4,), rng=0)


def test_distributions_record_quantiles_and_dead_channels():
    model = net()
    model[0].kernel.value = np.abs(model[0].kernel.value) * ([1] * 4 + [0] * 2)
    model[0].bias.value = [0, 0, 0, 0, -1, -1]  # the last two are dead
    watch = Distributions(X, Y)
    watch.state = Trainer(model, SGD(0.1)).state
    watch.on_train_begin()
    hidden = np.maximum(X @ model[0].kernel.value + model[0].bias.value, 0)
    logits = hidden @ model[3].kernel.value + model[3].bias.value
    _, dlogits = softmax_cross_entropy(logits, Y)
    sizes = np.abs(np.concatenate([(hidden.T @ dlogits).ravel(), dlogits.sum(axis=0)]))
    shares = (0.05, 0.25, 0.5, 0.75, 0.95)
    assert watch.names == ["0 Dense", "3 Dense"]
    np.testing.assert_allclose(watch.activations[0][0], np.quantile(hidden, shares), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(watch.activations[0][1], np.quantile(logits, shares), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(watch.gradients[0][1], np.quantile(sizes, shares), rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(watch.dead[0], [2 / 6, 0.0])


def test_distributions_do_not_disturb_the_training():
    plain, watched = net(0.5), net(0.5)
    Trainer(plain, SGD(0.1)).fit(X, Y, epochs=2, verbose=0)
    watch = Distributions(X[:10], Y[:10], every=1)
    Trainer(watched, SGD(0.1), callbacks=[watch]).fit(X, Y, epochs=2, verbose=0)
    assert watch.steps == [0, 1, 2]
    for one, other in zip(plain.get_weights(), watched.get_weights(), strict=True):
        assert np.array_equal(one, other)


def test_distributions_go_on_from_a_checkpoint(tmp_path):
    def fit(epochs, folder):
        watch = Distributions(X, Y, every=2)
        Trainer(net(), SGD(0.1), callbacks=[watch]).fit(X, Y, epochs, 10, checkpoint=folder, verbose=0)
        return watch

    whole = fit(4, tmp_path / "whole")
    fit(2, tmp_path / "cut")
    resumed = fit(4, tmp_path / "cut")
    assert resumed.steps == whole.steps == [0, 2, 4, 6, 8, 10, 12]
    for name in ("activations", "gradients", "dead"):
        assert np.array_equal(getattr(resumed, name), getattr(whole, name))
