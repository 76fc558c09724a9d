import functools
import math
import threading

import numpy as np
import pytest

import minicnn
from minicnn import (
    SGD,
    Adam,
    BatchNorm,
    Callback,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Layer,
    ReLU,
    Residual,
    Sequential,
    Sigmoid,
    Softmax,
)
from minicnn.losses import mean_squared_error, softmax_cross_entropy

# Fits of toy data end before a worker process has started: these do without.
Trainer = functools.partial(minicnn.Trainer, workers="threads")


def toy(n=50, seed=0):
    """Return uint8 images of 6x6 and whether their left half is the brighter one."""
    rng = np.random.default_rng(seed)
    x = rng.integers(0, 256, (n, 6, 6, 1)).astype(np.uint8)
    y = (x[:, :, :3].mean(axis=(1, 2, 3)) > x[:, :, 3:].mean(axis=(1, 2, 3))).astype(np.uint8)
    return x, y


def net(rng=0, dtype=np.float32):
    return Sequential([Conv2D(3, 3), ReLU(), Flatten(), Dense(2)]).build((6, 6, 1), rng=rng, dtype=dtype)


def by_hand(x, y, epochs, batch_size, dtype):
    """Train the same net with a loop that one would write without a trainer."""
    model, optimizer = net(dtype=dtype).train(), SGD(lr=0.1)
    losses = []
    for epoch in range(epochs):
        order = np.random.default_rng([5, epoch]).permutation(len(x))
        total = 0.0
        for start in range(0, len(x), batch_size):
            batch = order[start : start + batch_size]
            logits = model((x[batch] / 255).astype(dtype))
            loss, dlogits = softmax_cross_entropy(logits, y[batch])
            model.zero_grad()
            model.backward(dlogits)
            optimizer.step(model.parameters())
            total += loss * len(batch)
        losses.append(total / len(x))
    return model, losses


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch_size", [16, 50, 64])
def test_fit_equals_a_loop_by_hand_also_with_the_last_smaller_batch(threads, batch_size):
    x, y = toy()
    model, trainer_model = None, net(dtype=np.float64)
    model, losses = by_hand(x, y, 3, batch_size, np.float64)
    trainer = Trainer(trainer_model, SGD(lr=0.1), seed=5, threads=threads)
    history = trainer.fit(x, y, epochs=3, batch_size=batch_size)
    np.testing.assert_allclose(history.history["loss"], losses, rtol=1e-12)
    assert history.epoch == [0, 1, 2]
    for ours, expected in zip(trainer_model.parameters(), model.parameters(), strict=True):
        np.testing.assert_allclose(ours.value, expected.value, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_seed_and_threads_give_the_same_numbers_bit_for_bit(threads):
    x, y = toy(70)
    results = []
    for _ in range(2):
        model = Sequential([Flatten(), Dense(8), ReLU(), Dropout(0.5), Dense(2)]).build((6, 6, 1), rng=1)
        history = Trainer(model, Adam(), seed=3, threads=threads).fit(x, y, epochs=2, batch_size=32)
        results.append((history.history, model.get_weights()))
    assert results[0][0] == results[1][0]
    for a, b in zip(results[0][1], results[1][1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_history_has_keras_names_and_validation_is_evaluation():
    x, y = toy()
    model = net()
    trainer = Trainer(model, Adam())
    history = trainer.fit(x, y, epochs=2, batch_size=16, validation_data=(x[:20], y[:20]))
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    results = trainer.evaluate(x[:20], y[:20])
    assert history.history["val_loss"][-1] == results["loss"]
    logits = model((x[:20] / 255).astype(np.float32))
    assert math.isclose(results["loss"], softmax_cross_entropy(logits, y[:20])[0], rel_tol=1e-6)
    assert results["accuracy"] == np.mean(logits.argmax(axis=1) == y[:20])
    np.testing.assert_array_equal(trainer.predict(x[:20]), model.predict(x[:20]))
    np.testing.assert_allclose(trainer.predict(x, batch_size=7), model.predict(x), rtol=1e-5)
    np.testing.assert_allclose(trainer.predict(x[:0]), model.predict(x[:0]))


@pytest.mark.parametrize("x", [None, 3.0, np.zeros((4, 4, 1)), np.ma.masked_less(toy()[0], 1)])
def test_trainer_predict_refuses_what_predict_refuses(x):
    model = net()
    with pytest.raises((TypeError, ValueError), match="must") as expected:
        model.predict(x)
    with pytest.raises(type(expected.value)) as found:
        Trainer(model, Adam(), threads=2).predict(x)
    assert str(found.value) == str(expected.value)


def test_a_second_fit_goes_on_counting_and_shuffles_anew():
    x, y = toy()
    once, twice = net(), net()
    Trainer(once, SGD(0.1), threads=1).fit(x, y, epochs=4, batch_size=16)
    trainer = Trainer(twice, SGD(0.1), threads=1)
    trainer.fit(x, y, epochs=2, batch_size=16)
    assert trainer.fit(x, y, epochs=2, batch_size=16).epoch == [2, 3]
    for a, b in zip(once.get_weights(), twice.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_fit_leaves_the_model_as_it_was_but_for_the_weights():
    x, y = toy()
    model = net()
    Trainer(model, SGD(0.1)).fit(x, y, batch_size=16)
    assert not model.training
    assert model.needs_dx
    assert model.train()(np.ones((1, 6, 6, 1), np.float32)) is not None
    assert model.backward(np.ones((1, 2), np.float32)).shape == (1, 6, 6, 1)


def test_no_epochs_and_a_single_example():
    x, y = toy()
    model = net()
    before = model.get_weights()
    assert Trainer(model, SGD()).fit(x, y, epochs=0).history == {}
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    history = Trainer(model, SGD()).fit(x[:1], y[:1], epochs=1)
    assert len(history.history["loss"]) == 1


def test_augmentation_sees_each_batch_with_its_own_stream():
    x, y = toy()
    seen = []

    def augment(images, rng):
        seen.append((images.dtype, len(images), rng.integers(1 << 30)))
        return images

    Trainer(net(), SGD(), augment=augment).fit(x, y, epochs=2, batch_size=32)
    assert [entry[:2] for entry in seen] == [(np.uint8, 32), (np.uint8, 18)] * 2
    assert len({draw for *_, draw in seen}) == 4


def test_other_losses_have_no_accuracy_unless_asked():
    x = np.linspace(-1, 1, 40)[:, None]
    trainer = Trainer(Dense(1).build((1,), rng=0), SGD(0.1), mean_squared_error)
    history = trainer.fit(x, 3 * x + 1, epochs=30, batch_size=8)
    assert list(history.history) == ["loss"]
    assert history.history["loss"][-1] < 1e-3
    metrics = {"worst": lambda p, t: float(np.abs(p - t).max())}
    trainer = Trainer(Dense(1).build((1,), rng=0), SGD(0.1), mean_squared_error, metrics=metrics)
    assert list(trainer.evaluate(x, 3 * x + 1)) == ["loss", "worst"]


class Poison(Layer):
    """Lets everything pass until a given call, then turns it into NaN, forwards or backwards."""

    def __init__(self, call, where):
        self.call, self.where, self.calls = call, where, 0

    def forward(self, x):
        self.calls += self.training
        self.cache = None
        return x * (np.nan if self.where == "forward" and self.calls > self.call else 1)

    def backward(self, dy):
        return dy * (np.nan if self.where == "backward" and self.calls > self.call else 1)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("forward", r"epoch 0, step 2: the output of layers.1 \(Poison\) is the first non-finite value"),
        ("backward", r"epoch 0, step 2: the dx of layers.1 \(Poison\) is the first non-finite value"),
    ],
)
def test_a_number_that_is_not_finite_stops_at_that_step_and_names_the_layer(where, message):
    x, y = toy()
    model = Sequential([Flatten(), Poison(2, where), Dense(2)]).build((6, 6, 1), rng=0)
    weights = []

    class Watch(Callback):
        def on_batch_end(self, step, logs):
            weights.append(model.get_weights())

    if where == "backward":
        model.layers.insert(0, Conv2D(1, 1).build((6, 6, 1), rng=0))
        message = message.replace("layers.1", "layers.2")
    with pytest.raises(FloatingPointError, match=message):
        Trainer(model, SGD(0.1), threads=1).fit(x, y, batch_size=16, callbacks=[Watch()])
    assert len(weights) == 2
    for last, now in zip(weights[-1], model.get_weights(), strict=True):
        np.testing.assert_array_equal(last, now)


def test_divergence_is_named_and_no_warning_escapes():
    x, y = toy()
    with pytest.raises(FloatingPointError, match="Try a smaller learning rate"):
        Trainer(net(), SGD(lr=1e30)).fit(x, y, epochs=5, batch_size=16)


def test_a_batch_that_is_not_finite_is_named():
    x = np.full((4, 2), np.inf)
    with pytest.raises(FloatingPointError, match="the batch itself has non-finite values"):
        Trainer(Dense(2).build((2,)), SGD()).fit([(x, np.arange(4) % 2)])


@pytest.mark.parametrize("weight", [None, np.ones(4)])
def test_labels_that_are_not_finite_are_named(weight):
    trainer = Trainer(Dense(2).build((2,)), SGD(), mean_squared_error)
    batch = (np.ones((4, 2)), np.full((4, 2), np.nan), *([] if weight is None else [weight]))
    with pytest.raises(FloatingPointError, match=r"the labels of the batch have non-finite values$"):
        trainer.fit([batch], verbose=0)


@pytest.mark.parametrize(
    ("augment", "error", "message"),
    [
        (lambda x, rng: x[1:], ValueError, r"the shape \(32, 6, 6, 1\) of what it was given, got \(31, "),
        (lambda x, rng: x[:, :1], ValueError, r"must have the shape \(32, 6, 6, 1\)"),
        (
            lambda x, rng: None,
            TypeError,
            r"`augment\(images, rng\)` must be an array of numbers, got NoneType",
        ),
        (
            lambda x, rng: x.tolist(),
            TypeError,
            r"`augment\(images, rng\)` must be an array of numbers, got list",
        ),
        (
            lambda x, rng: x.astype(str),
            TypeError,
            r"`augment\(images, rng\)` must be an array of numbers, got <U",
        ),
    ],
)
def test_augment_must_return_such_images_as_it_was_given(augment, error, message):
    with pytest.raises(error, match=message):
        Trainer(net(), SGD(), augment=augment, threads=1).fit(*toy(), batch_size=32, verbose=0)


def test_an_error_in_augment_says_where_it_was():
    with pytest.raises(TypeError, match="takes 1 positional argument") as caught:
        Trainer(net(), SGD(), augment=lambda x: x, threads=1).fit(*toy(), verbose=0)
    assert caught.value.__notes__ == ["in `augment`"]


def test_an_augment_that_writes_into_its_argument_leaves_the_users_arrays_alone():
    def double(x, rng):
        x *= 2
        return x

    x, y = toy()
    before, batches = x.copy(), [(x[:20], y[:20]), (x[20:40], y[20:40])]
    Trainer(net(), SGD(), augment=double, threads=1).fit(batches, epochs=2, verbose=0)
    Trainer(net(), SGD(), augment=double, threads=1).fit(x, y, epochs=2, verbose=0)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("loss", ["softmax_cross_entropy", "binary_cross_entropy_with_logits"])
def test_a_relu_at_the_end_is_warned_of(loss):
    model = Sequential([Dense(4), ReLU(), Sequential([Dense(2), ReLU()])]).build((2,), rng=0)
    with pytest.warns(UserWarning, match="ends with ReLU, so that no logit can be negative: remove"):
        Trainer(model, SGD(), loss)
    Trainer(model, SGD(), "mean_squared_error")  # which may be right


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("last", [ReLU(), Softmax(), Sigmoid()])
def test_an_activation_beside_a_shortcut_is_not_the_end(last):
    model = Sequential([Residual([Dense(2), last])]).build((2,), rng=0)
    Trainer(model, SGD(), "softmax_cross_entropy")
    Trainer(model, SGD(), "binary_cross_entropy_with_logits")


def test_a_model_that_is_frozen_as_a_whole_is_refused():
    model = net()
    model.trainable = False
    with pytest.raises(ValueError, match="has no weights, or all are frozen by `trainable = False`"):
        Trainer(model, SGD(), threads=1).fit(*toy(), verbose=0)


def test_an_exception_in_a_shard_reaches_the_caller_and_nothing_is_updated():
    class Fails(Layer):
        def forward(self, x):
            if threading.current_thread() is not threading.main_thread():
                raise KeyError("in a shard")
            return x.copy()

        def backward(self, dy):
            return dy.copy()

    x, y = toy()
    model = Sequential([Flatten(), Fails(), Dense(2)]).build((6, 6, 1), rng=0)
    before = model.get_weights()
    with pytest.raises(KeyError, match="in a shard"):
        Trainer(model, SGD(), threads=2).fit(x, y)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not model.training


def test_batch_statistics_do_not_depend_on_the_number_of_threads():
    x, y = toy()

    def normalized():
        return Sequential([Flatten(), BatchNorm(), Dense(2)]).build((6, 6, 1), rng=0)

    one, *others = models = [normalized() for _ in range(4)]
    for model, threads in zip(models, (1, 2, 3, None), strict=True):
        Trainer(model, SGD(0.1), threads=threads).fit(x, y, batch_size=25)
    for other in others:
        for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("x", "y", "options", "message"),
    [
        (
            np.zeros((3, 6, 6)),
            np.zeros(3),
            {},
            r"examples must have shape \(6, 6, 1\).* a channel axis",
        ),
        (np.zeros((3, 5, 5, 1)), np.zeros(3), {}, r"examples must have shape \(6, 6, 1\), got an array of"),
        (np.zeros((3, 6, 6, 1)), np.zeros(2), {}, "x and y need the same length"),
        (np.zeros((0, 6, 6, 1)), np.zeros(0), {}, "at least one example"),
        (np.zeros((3, 6, 6, 1)), np.zeros(3, int), {"epochs": -1}, "`epochs` must be at least 0"),
        (np.zeros((3, 6, 6, 1)), np.zeros(3, int), {"batch_size": 0}, "`batch_size` must be at least 1"),
    ],
)
def test_fit_refuses_what_does_not_fit(x, y, options, message):
    with pytest.raises(ValueError, match=message):
        Trainer(net(), SGD()).fit(x, y, **options)


class KeepsTemporaries(Layer):
    """As users write them: what forward computes on the way goes into attributes."""

    def forward(self, x):
        self.centred = x - x.mean(axis=1, keepdims=True)
        self.std = np.sqrt((self.centred**2).mean(axis=1, keepdims=True) + 1e-5)
        return self.centred / self.std

    def backward(self, dy):
        raise NotImplementedError


def test_predicting_in_threads_is_right_for_layers_that_keep_temporaries():
    model = Sequential([Dense(100), KeepsTemporaries(), Dense(3)]).build((50,), rng=0)
    x = np.random.default_rng(0).standard_normal((4000, 50)).astype(np.float32)
    expected = model.predict(x)
    for _ in range(10):
        actual = Trainer(model, SGD(), threads=2).predict(x)
        np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("threads", [1, 2])
def test_two_fits_of_one_epoch_equal_one_of_two_also_with_dropout_and_validation(threads):
    x, y = toy(64)
    results = []
    for fits in (1, 2):
        model = Sequential([Flatten(), Dropout(0.5), Dense(2)]).build((6, 6, 1), rng=1)
        trainer = Trainer(model, SGD(0.1), threads=threads)
        for _ in range(fits):
            trainer.fit(x, y, epochs=2 // fits, batch_size=32, validation_data=(x, y) if fits == 2 else None)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


class Overflows(Layer):
    """A composite whose own arithmetic, not that of its parts, goes wrong."""

    def __init__(self):
        self.inner = Dense(4)

    def init_params(self, input_shape, rng):
        self.inner.build(input_shape, rng)

    def forward(self, x):
        return self.inner(x) * np.inf

    def backward(self, dy):
        return self.inner.backward(dy)


def test_the_culprit_may_be_a_layer_made_of_layers():
    x, y = toy()
    model = Sequential([Flatten(), Overflows(), Dense(2)]).build((6, 6, 1), rng=0)
    with pytest.raises(FloatingPointError, match=r"the output of layers.1 \(Overflows\) is the first"):
        Trainer(model, SGD()).fit(x, y)


def test_with_batch_statistics_the_culprit_is_named_and_the_statistics_are_kept():
    x, y = toy()
    model = Sequential([Flatten(), Dense(8), BatchNorm(), Dense(2)]).build((6, 6, 1), rng=0)
    model[1].kernel.value = np.full((36, 8), 3e38)
    with pytest.raises(FloatingPointError, match=r"the output of layers.1 \(Dense\) is the first"):
        Trainer(model, SGD()).fit(x, y)
    np.testing.assert_array_equal(model[2].running_mean.value, np.zeros(8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"optimizer": "adam"}, "`optimizer` must be an Optimizer object"),
        ({"optimizer": Adam}, "`optimizer` must be an Optimizer object"),
        ({"loss": 3}, "`loss` must be a function"),
        ({"metrics": "accuracy"}, "`metrics` must be a dict"),
        ({"metrics": {"acc": 3}}, "metric 'acc' must be a function"),
        ({"augment": True}, "`augment` must be a function"),
        ({"model": [Dense(2)]}, "`model` must be a Layer object"),
        ({"callbacks": Callback()}, "`callbacks` must be a list of Callback objects"),
    ],
)
def test_a_trainer_says_what_its_arguments_must_be(options, message):
    with pytest.raises(TypeError, match=message):
        Trainer(**{"model": net(), "optimizer": SGD()} | options)


def test_fit_says_what_validation_data_and_callbacks_must_be():
    x, y = toy()
    with pytest.raises(TypeError, match=r"`validation_data` must be a pair \(x, y\)"):
        Trainer(net(), SGD()).fit(x, y, validation_data=x)
    for wrong in ((x[..., 0], y), (x, y[1:]), (x, y, np.ones(3))):
        with pytest.raises(ValueError, match=r"^`validation_data`: "):
            Trainer(net(), SGD()).fit(x, y, validation_data=wrong)
    with pytest.raises(TypeError, match="`callbacks` must be a list of Callback objects"):
        Trainer(net(), SGD()).fit(x, y, callbacks=[Callback])
    with pytest.raises(ValueError, match="`batch_size` must be at least 1, got 0"):
        Trainer(net(), SGD()).evaluate(x, y, batch_size=0)


@pytest.mark.parametrize("name", ["loss", "epoch", "val_accuracy"])
def test_a_metric_must_not_take_the_name_of_something_else(name):
    with pytest.raises(ValueError, match=f"must not be called 'loss', 'epoch' or 'val_...', got '{name}'"):
        Trainer(net(), SGD(), metrics={name: mean_squared_error})


def test_callbacks_may_come_from_a_generator():
    class Count(Callback):
        epochs = 0

        def on_epoch_end(self, epoch, logs):
            self.epochs += 1

    own, given = Count(), Count()
    x, y = toy()
    trainer = Trainer(net(), SGD(0.1), callbacks=(hook for hook in [own]))
    trainer.fit(x, y, epochs=2, callbacks=filter(None, [given, None]))
    assert (own.epochs, given.epochs) == (2, 2)


def test_the_loss_of_a_trainer_is_its_own():
    with pytest.raises(AttributeError, match="loss"):
        Trainer(net(), SGD(0.1)).loss = mean_squared_error


def test_a_trainer_needs_a_built_model():
    with pytest.raises(RuntimeError, match="the model is not built: call build"):
        Trainer(Dense(1), SGD())


@pytest.mark.parametrize("how", ["built again", "another layer"])
def test_a_trainer_refuses_weights_that_it_does_not_know(how):
    model = net()
    trainer = Trainer(model, SGD(0.1))
    trainer.fit(*toy(), verbose=0)
    if how == "built again":
        model.layers[0], model.layers[3] = Conv2D(3, 3), Dense(2)
        model.build((6, 6, 1), rng=1)
    else:
        model.layers[3] = Dense(2).build((48,), rng=1)
    before = model.get_weights()
    with pytest.raises(RuntimeError, match="make a new Trainer"):
        trainer.fit(*toy(), verbose=0)
    assert all(map(np.array_equal, model.get_weights(), before))
    Trainer(model, SGD(0.1)).fit(*toy(), verbose=0)
    assert not any(map(np.array_equal, model.get_weights(), before))


def test_augmentation_and_threads_are_checked_at_once():
    with pytest.raises(ValueError, match="`threads` must be at least 1, got 0"):
        Trainer(net(), SGD(), threads=0)
    with pytest.raises(ValueError, match="`seed` must be at least 0, got -1"):
        Trainer(net(), SGD(), seed=-1)


def test_a_name_that_the_trainer_does_not_have_is_refused():
    trainer = Trainer(Dense(2).build((3,), rng=0), SGD())
    with pytest.raises(AttributeError, match="stop_training"):
        trainer.stop_training = True


def test_the_history_survives_an_interrupt():
    class Interrupt(Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 1:
                raise KeyboardInterrupt

    trainer = Trainer(Dense(2).build((3,), rng=0), SGD(), threads=1)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(np.zeros((8, 3)), np.arange(8) % 2, 5, callbacks=[Interrupt()], verbose=0)
    assert trainer.history.epoch == [0, 1]
    assert len(trainer.history.history["loss"]) == 2
