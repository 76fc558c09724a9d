"""What is no array of numbers is refused everywhere; floating-point underflow is nowhere an error."""

import numpy as np
import pytest

from minicnn import (
    ELU,
    GELU,
    SGD,
    Adam,
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    Trainer,
)
from minicnn.insight import class_gradient
from minicnn.losses import binary_cross_entropy_with_logits, mean_squared_error, softmax_cross_entropy
from minicnn.metrics import accuracy, confusion_matrix, top_k_accuracy

FLOATS = np.arange(12, dtype=np.float32).reshape(4, 3) / 12
NO_NUMBERS = {
    "masked": np.ma.array(FLOATS, mask=FLOATS > 0.5),
    "masked without a mask": np.ma.array(FLOATS),
    "complex": FLOATS + 1j,
    "text": FLOATS.astype(str),
    "dates": FLOATS.astype(int).astype("datetime64[D]"),
    "durations": FLOATS.astype(int).astype("timedelta64[D]"),
    "objects": FLOATS.astype(object),
    "records": np.zeros((4, 3), [("a", "f4")]),
}
MODEL = Dense(3).build((3,), rng=0)
LABELS = np.array([0, 1, 2, 0])
TRAINER = Trainer(MODEL, SGD(), mean_squared_error, threads=1)
ENTRIES = {
    "predict": MODEL.predict,
    "trainer.predict": TRAINER.predict,
    "call": MODEL,
    "fit x": lambda a: TRAINER.fit(a, FLOATS, verbose=0),
    "fit y": lambda a: TRAINER.fit(FLOATS, a, verbose=0),
    "fit batches": lambda a: TRAINER.fit([(a, FLOATS)], verbose=0),
    "fit augmented": lambda a: Trainer(MODEL, SGD(), augment=lambda x, rng: a).fit(FLOATS, LABELS, verbose=0),
    "validation x": lambda a: TRAINER.fit(FLOATS, FLOATS, validation_data=(a, FLOATS), verbose=0),
    "validation y": lambda a: TRAINER.fit(FLOATS, FLOATS, validation_data=(FLOATS, a), verbose=0),
    "evaluate x": lambda a: TRAINER.evaluate(a, FLOATS),
    "evaluate y": lambda a: TRAINER.evaluate(FLOATS, a),
    "lr_find": lambda a: TRAINER.lr_find(a, FLOATS),
    "cross entropy": lambda a: softmax_cross_entropy(a, LABELS),
    "cross entropy rows": lambda a: softmax_cross_entropy(FLOATS, a),
    "cross entropy labels": lambda a: softmax_cross_entropy(FLOATS, a[:, 0]),
    "squares": lambda a: mean_squared_error(a, FLOATS),
    "squares labels": lambda a: mean_squared_error(FLOATS, a),
    "binary": lambda a: binary_cross_entropy_with_logits(a, FLOATS),
    "binary labels": lambda a: binary_cross_entropy_with_logits(FLOATS, a),
    "accuracy": lambda a: accuracy(a, LABELS),
    "accuracy labels": lambda a: accuracy(FLOATS, a),
    "top k": lambda a: top_k_accuracy(FLOATS, a, 1),
    "confusion": lambda a: confusion_matrix(LABELS, a),
}


@pytest.mark.parametrize("kind", NO_NUMBERS)
@pytest.mark.parametrize("entry", ENTRIES)
def test_what_is_no_array_of_numbers_is_a_type_error_everywhere(entry, kind):
    before = MODEL.get_weights()
    with pytest.raises(TypeError, match=r"must be an array of (numbers|floats), got"):
        ENTRIES[entry](NO_NUMBERS[kind])
    assert np.array_equal(before[0], MODEL.get_weights()[0])


def test_memory_maps_and_subclasses_are_arrays(tmp_path):
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=FLOATS.shape)
    mapped[:] = FLOATS
    np.testing.assert_array_equal(MODEL.predict(mapped), MODEL.predict(FLOATS))
    np.testing.assert_array_equal(MODEL(mapped), MODEL(FLOATS))


@pytest.mark.parametrize("scale", [1e-30, 1e-20, 1.0, 100.0])
@pytest.mark.parametrize("activation", [ELU, GELU, Sigmoid, Softmax, lambda: GELU(True)])
def test_underflow_is_no_error_where_the_user_makes_all_others_errors(activation, scale):
    rng = np.random.default_rng(0)
    x, y = (scale * rng.normal(size=(16, 6, 6, 1))).astype(np.float32), rng.integers(0, 3, 16)
    results = []
    for settings in ({"all": "raise"}, {"all": "ignore"}):
        layers = [Conv2D(2, 3), BatchNorm(), activation(), Flatten(), Dense(3)]
        model = Sequential(layers).build((6, 6, 1), rng=0)
        with np.errstate(**settings):
            trainer, optimizer = Trainer(model, Adam(), threads=1), SGD(0.1)
            trainer.fit(x, y, 2, 4, validation_data=(x, y), verbose=0)
            loss, dlogits = softmax_cross_entropy(model.train()(x), y)
            model.backward(dlogits)
            optimizer.step(model.parameters())
            found = model.eval().predict(x), class_gradient(model, x[0], 1)
            results.append([loss, *model.get_weights(), *found])
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("activation", [ELU, GELU, Sigmoid, SiLU, Softmax, Tanh, lambda: GELU(True)])
def test_underflow_is_no_error_in_a_layer_that_is_called_alone(activation):
    layer = activation().build((20,)).train()
    x = np.linspace(-200, 200, 60, dtype=np.float32).reshape(3, 20)
    results = []
    for settings in ({"all": "raise"}, {"all": "ignore"}):
        with np.errstate(**settings):
            results.append((layer(x), layer.backward(np.full_like(x, 1e-10))))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
