"""Random histories beside Keras's callbacks, which are called as a fit would call them, without a fit."""

import keras
import numpy as np
import pytest

from minicnn import SGD, Dense, EarlyStopping, ReduceLROnPlateau, SaveBest, load_weights
from minicnn.losses import mean_squared_error
from minicnn.training import TrainingState

RATE = 0.5


@pytest.fixture(scope="module")
def theirs():
    """Return a Keras model of one weight."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])
    model.compile(keras.optimizers.SGD(RATE), loss="mse")
    return model


def ours():
    model = Dense(1, use_bias=False).build((1,), rng=0)
    return TrainingState(model, SGD(RATE), mean_squared_error)


def history(rng):
    """Return the values of a metric: eighths, which are compared exactly; many are equal, some not finite."""
    values = rng.integers(-8, 8, rng.integers(1, 16)) / 8
    odd = rng.random((2, len(values))) < rng.choice([0, 0.1, 0.5], (2, 1))
    values[odd[0]] = rng.choice([np.inf, -np.inf])
    values[odd[1]] = np.nan
    return values


def settings(rng):
    return {
        "patience": int(rng.integers(0, 5)),
        "min_delta": float(rng.choice([0, 0.125, 0.5])),
        "mode": str(rng.choice(["min", "max"])),
    }


def set_weight(model, value):
    model.set_weights([np.full((1, 1), value)])


def weight_and_stop(callback, values, model, stops, first=0):
    """Call a callback for each epoch; return the weight at the end, and the number of epochs."""
    set_weight(model, -1)
    callback.on_train_begin()
    for epoch, value in enumerate(values):
        set_weight(model, first + epoch)
        callback.on_epoch_end(epoch, {"metric": value})
        if stops():
            break
    callback.on_train_end()
    return model.get_weights()[0].item(), first + epoch + 1


def early_stopping_of_keras(theirs, values, options, first=0):
    callback = keras.callbacks.EarlyStopping("metric", restore_best_weights=True, **options)
    callback.set_model(theirs)
    theirs.stop_training = False
    return weight_and_stop(callback, values, theirs, lambda: theirs.stop_training, first)


def expected_stop(theirs, values, options):
    """Return what Keras does; the exception are NaNs before the first number, of which none is the best."""
    first = int(np.argmin(np.append(np.isnan(values), False)))
    patience = max(options["patience"], 1)
    if first >= min(patience, len(values)):  # nothing was kept: the weights are those of the last epoch
        epochs = min(patience, len(values))
        return epochs - 1, epochs
    return early_stopping_of_keras(theirs, values[first:], options, first)


def rates(callback, values, rate):
    callback.on_train_begin()
    found = []
    for epoch, value in enumerate(values):
        callback.on_epoch_end(epoch, {"metric": value})
        found.append(rate())
    return found


class NoNaNFirst(keras.callbacks.ReduceLROnPlateau):
    """The exception: a NaN in the first epoch is no improvement."""

    def _is_improvement(self, monitor_value, reference_value):
        if reference_value is None:
            return not np.isnan(monitor_value)
        return super()._is_improvement(monitor_value, reference_value)


def expected_rates(theirs, values, options):
    kind = NoNaNFirst if np.isnan(values[0]) else keras.callbacks.ReduceLROnPlateau
    callback = kind("metric", **options)
    callback.set_model(theirs)
    theirs.optimizer.learning_rate = RATE
    return rates(callback, values, lambda: float(theirs.optimizer.learning_rate.numpy()))


@pytest.mark.parametrize("count", [40, pytest.param(400, marks=pytest.mark.campaign)])
def test_the_same_epochs_are_kept_and_stopped_as_in_keras(theirs, count, tmp_path):
    rng = np.random.default_rng(count)
    kinds = set()
    for number in range(count):
        values, options = history(rng), settings(rng)
        state = ours()
        callback = EarlyStopping("metric", **options)
        callback.state = state
        found = weight_and_stop(callback, values, state.model, lambda state=state: state.stop)
        assert found == expected_stop(theirs, values, options), (number, values, options)
        kinds.add((options["mode"], found[1] < len(values), found[0] + 1 < found[1], np.isnan(values[0])))
        if options["min_delta"] == 0 and found[1] == len(values) and not np.isnan(values).all():
            state, path = ours(), tmp_path / f"{number}.safetensors"
            best = SaveBest(path, "metric", options["mode"])
            best.state = state
            weight_and_stop(best, values, state.model, bool)
            load_weights(state.model, path)
            assert state.model.get_weights()[0].item() == found[0]
    assert all(len(set(column)) == 2 for column in zip(*kinds, strict=True))  # each occurred and did not


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras reads its rate so
@pytest.mark.parametrize("count", [40, pytest.param(400, marks=pytest.mark.campaign)])
def test_the_rate_is_reduced_in_the_same_epochs_as_in_keras(theirs, count):
    rng = np.random.default_rng(count)
    reduced = 0
    for number in range(count):
        values = history(rng)
        options = settings(rng) | {
            "cooldown": int(rng.integers(0, 4)),
            "factor": float(rng.choice([0.25, 0.5])),
            "min_lr": float(rng.choice([0, 0.1])),
        }
        state = ours()
        callback = ReduceLROnPlateau("metric", **options)
        callback.state = state
        found = rates(callback, values, lambda state=state: state.optimizer.learning_rate)
        np.testing.assert_allclose(
            found, expected_rates(theirs, values, options), rtol=1e-6, err_msg=f"{number} {values} {options}"
        )
        reduced += len(set(found)) > 1
    assert reduced > count / 3


def test_keras_takes_a_nan_of_the_first_epoch_for_the_best(theirs):
    """The exception, as it is in Keras: once this fails, it is none."""
    values, options = np.array([np.nan, 3, 1]), {"patience": 5, "min_delta": 0.0, "mode": "min"}
    assert early_stopping_of_keras(theirs, values, options) == (0, 3)
    assert expected_stop(theirs, values, options) == (2, 3)
