"""Numbers that overflow in predictions and validations: one sentence, as NumPy's settings want it."""

import warnings
from typing import ClassVar

import numpy as np
import pytest

from minicnn import SGD, Conv2D, Dense, Flatten, GroupNorm, Layer, ReLU, Sequential, Trainer, insight, plots
from minicnn.losses import mean_squared_error

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(12, 6, 6, 1)).astype(np.float32), np.arange(12) % 3
RATE = 1e25  # so large that the next prediction overflows, although all weights are finite


class Excluding(Layer):
    """Logits that exclude the first class."""

    def forward(self, x):
        return np.where(np.arange(x.shape[-1]) == 0, -np.inf, x).astype(x.dtype)


class Gate(Layer):
    """A sigmoid that overflows on the way to a right result."""

    def forward(self, x):
        return 1 / (1 + np.exp(-x))


def net(*last):
    return Sequential([Conv2D(2, 3), ReLU(), Flatten(), Dense(3), *last]).build((6, 6, 1), rng=0)


def diverged():
    model = net()
    for parameter in model.parameters():
        parameter.value[...] = 1e30
    return model


def fit(model=None, validation=(X, Y), rate=RATE, **settings):
    trainer = Trainer(model or net(), SGD(lr=rate), threads=settings.pop("threads", 1), workers="threads")
    return trainer.fit(X, Y, batch_size=12, validation_data=validation, verbose=0, **settings)


def nan_in_weights():
    model = net()
    model[3].bias.value[1] = np.nan
    return model.predict(X)


def loss_only():
    model = Sequential([Flatten(), Dense(3)]).build((6, 6, 1), rng=0)
    model[1].kernel.value *= 1e25 / np.abs(model.predict(X)).max()
    Trainer(model, SGD(), mean_squared_error, threads=1).evaluate(X, np.zeros((12, 3), np.float32))


CASES = {
    "validation": (
        fit,
        r"in the validation after epoch 0, predictions .* matmul in layers\.3 \(Dense\)\. The training di",
    ),
    "threads": (
        lambda: fit(threads=2),
        "in the validation after epoch 0, predictions are not finite: overflow",
    ),
    "evaluate": (
        lambda: Trainer(diverged(), SGD(), threads=2).evaluate(X, Y),
        "in layers.3 .*smaller learning",
    ),
    "predict": (lambda: diverged().predict(X, 5), r"^predictions are not finite: overflow .* in layers\.3"),
    "weights": (nan_in_weights, r"since the weights 'layers\.3\.bias' are not\. If the model was trained"),
    "inputs": (
        lambda: net().predict(np.full_like(X, np.inf)),
        "^predictions are not finite, since some inputs are not$",
    ),
    "validation inputs": (
        lambda: fit(validation=(np.full(X.shape, 1e300), Y), rate=0.1),  # infinite in float32
        "in the validation after epoch 0, predictions are not finite, since some inputs are not$",
    ),
    "loss": (loss_only, "^the loss is inf, although all predictions are finite. If the model"),
    "finite": (
        lambda: GroupNorm(1).build((4,)).predict(np.full((2, 4), [0, 1e30, 0, 0], np.float32)),
        r"^overflow .* in the model \(GroupNorm\); the predictions are finite, but may be wrong$",
    ),
    "own layer": (
        lambda: net(Gate()).predict(X * np.float32(1e5)),
        r"^overflow encountered in exp in layers\.4 \(Gate\); the predictions are finite",
    ),
}


@pytest.mark.parametrize(("attempt", "message"), CASES.values(), ids=CASES)
@pytest.mark.filterwarnings("error")
def test_an_overflow_is_told_by_one_sentence(attempt, message):
    with pytest.warns(UserWarning, match=message) as told:
        attempt()
    assert len(told) == 1
    assert told[0].filename == __file__
    with pytest.raises(UserWarning, match=message):
        attempt()
    with np.errstate(over="raise", invalid="raise"), pytest.raises(FloatingPointError, match=message):
        attempt()
    with np.errstate(all="ignore"):
        attempt()


class Wide(Layer):
    """72,000 values of each example."""

    sizes: ClassVar[list] = []  # of the batches, also of those that copies of the layer get

    def forward(self, x):
        self.sizes.append(len(x))
        return np.repeat(x, 2000, axis=3)


class Narrow(Layer):
    """The way back."""

    def forward(self, x):
        return x[..., ::2000].copy()


def test_the_layer_that_overflows_is_found_in_batches_as_small_as_those_of_the_prediction():
    model = Sequential([Wide(), Narrow(), *net().layers]).build((6, 6, 1), rng=0)
    Wide.sizes.clear()
    with pytest.warns(UserWarning, match=r"overflow encountered in matmul in layers\.5 \(Dense\)"):
        fit(model, (np.concatenate([X, X, X]), np.arange(36) % 3))
    assert Wide.sizes == [12, 32, 4, 32]  # the training, the prediction, the search


@pytest.mark.filterwarnings("error")
def test_excluded_classes_are_no_overflow():
    logits = net(Excluding()).predict(X)
    assert np.isneginf(logits[:, 0]).all()
    assert np.isfinite(logits[:, 1:]).all()


class Names(Layer):
    """The name of the class of each example."""

    def forward(self, x):
        return np.array(["cat", "dog", "owl"])[x.argmax(axis=1)]


class Spectrum(Layer):
    """Complex outputs."""

    def forward(self, x):
        return np.fft.fft(x)


@pytest.mark.filterwarnings("error")
def test_outputs_need_not_be_real_numbers():
    logits = net().predict(X)
    names = net(Names()).predict(X)
    np.testing.assert_array_equal(names, np.array(["cat", "dog", "owl"])[logits.argmax(axis=1)])
    np.testing.assert_allclose(net(Spectrum()).predict(X), np.fft.fft(logits), rtol=1e-5)
    model = net(Names())
    for parameter in model.parameters():
        parameter.value[...] = 1e30
    with pytest.raises(UserWarning, match=r"\(Dense\); the predictions are finite, but may be wrong"):
        model.predict(X)


@pytest.mark.parametrize("errors", ["warn", "raise"])
def test_weights_that_overflow_in_the_last_step_are_an_error(errors):
    model = net()
    with warnings.catch_warnings(), np.errstate(all=errors):
        warnings.simplefilter("error")
        with pytest.raises(
            FloatingPointError, match=r"'layers\.\d\.\w+' became non-finite in epoch 0, by step 0"
        ):
            Trainer(model, SGD(lr=3e38, momentum=0.9, nesterov=True), threads=1).fit(
                *(X * np.float32(1e3), Y), batch_size=12, verbose=0
            )


def test_a_frozen_weight_may_be_infinite_from_the_start(tmp_path):
    """A bias of -inf excludes a class."""
    weights = []
    for epochs in ((2,), (1, 2)):
        for count in epochs:
            model = net()
            model[3].bias.value = np.array([0, 0, -np.inf], np.float32)
            model[3].bias.trainable = False
            trainer = Trainer(model, SGD(lr=0.01), threads=1)
            trainer.fit(X, Y % 2, epochs=count, verbose=0, checkpoint=tmp_path / f"{len(epochs)}")
        losses = trainer.history.history["loss"]
        assert losses[1] < losses[0] < np.inf
        weights.append(model.get_weights())
    for one, other in zip(*weights, strict=True):
        np.testing.assert_array_equal(one, other)


LOOKS = {
    "class_gradient": lambda model: insight.class_gradient(model, X[0], 0),
    "grad_cam": lambda model: insight.grad_cam(model, X[0], 0),
    "occlusion": lambda model: insight.occlusion(model, X[0], 0),
    "last_hidden": lambda model: insight.last_hidden(model, X),
    "strongest_patches": lambda model: insight.strongest_patches(model, X, 0, 1),
    "Trace": lambda model: insight.Trace(model, X),
}


@pytest.mark.parametrize(("name", "look"), LOOKS.items(), ids=LOOKS)
@pytest.mark.filterwarnings("error")
def test_looking_into_a_net_that_diverged_says_so_once(name, look):
    message = f"^{name} found numbers in the model that are not finite. If the model was trained"
    model = diverged()
    model[3].bias.value[...] = np.nan
    with pytest.warns(UserWarning, match=message) as told:
        look(model)
    assert len(told) == 1
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match=message):
        look(model)
    with np.errstate(all="ignore"), warnings.catch_warnings(action="error"):
        look(model)
    with pytest.raises(ValueError, match="`features` must be finite, got NaN or infinite values"):
        insight.principal_components(np.array([[0.0, np.inf], [1.0, 2.0]]))


@pytest.mark.filterwarnings("error")
def test_gradients_of_a_trace_that_overflow_are_told_in_one_sentence():
    model = net()
    with np.errstate(all="ignore"):
        model[-1].kernel.value = model[-1].kernel.value * 1e38
    trace = insight.Trace(model, np.zeros_like(X))
    with pytest.warns(UserWarning, match="^Trace.backward found numbers in the model that are not") as told:
        trace.backward(np.full(trace.outputs[-1].shape, 1e5, np.float32))
    assert len(told) == 1
    with pytest.warns(UserWarning, match="^Trace found numbers in the model that are not finite") as told:
        plots.feature_maps(diverged(), X[0])
    assert len(told) == 1


def test_the_own_function_of_a_user_gets_the_overflows():
    seen = []
    with np.errstate(over="call", call=lambda kind, flag: seen.append(kind)):
        diverged().predict(X)
    assert "overflow" in seen
