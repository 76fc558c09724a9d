"""Random programs with mistakes that would train silently wrong: each is refused or warned of at once.

A program is a small data set, net and fit, all right. A sequence of mistakes then changes some of its parts.
Programs without a mistake must train without a word.
"""

import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from wrong_rules import Forgets, Hides, Rebinds, ReturnsNothing

from minicnn import (
    ELU,
    SGD,
    Adam,
    BatchNorm,
    Callback,
    Conv2D,
    CSVLogger,
    Dense,
    Dropout,
    EarlyStopping,
    Flatten,
    Layer,
    Parameter,
    ReduceLROnPlateau,
    ReLU,
    Rescaling,
    SaveBest,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    Trainer,
)
from minicnn.losses import binary_cross_entropy_with_logits, mean_squared_error, softmax_cross_entropy
from minicnn.metrics import top_k_accuracy
from minicnn.schedules import cosine, step_decay

REFUSED = TypeError, ValueError, RuntimeError, OSError, FloatingPointError
SMALL, MANY = 68, 344


class Count(Callback):
    steps = 0

    def on_batch_end(self, step, logs):
        self.steps += 1


def top2(predictions, labels):
    return top_k_accuracy(predictions, labels, 2)


def program(rng, folder):
    """Return a program without a mistake."""
    n = int(rng.integers(12, 30))
    classes = rng.permutation(np.arange(n) % 3)
    loss = [softmax_cross_entropy, mean_squared_error, binary_cross_entropy_with_logits][rng.integers(3)]
    rows = np.eye(3, dtype=np.float32)[classes]
    if rng.random() < 0.5:
        x = rng.integers(0, 256, (n, 8, 8, 1)).astype(np.uint8)
        layers = [Conv2D(2, 3), *([BatchNorm()] if rng.random() < 0.5 else []), ReLU(), Flatten(), Dense(3)]
    else:
        x = rng.normal(size=(n, 5)).astype(np.float32)
        layers = [Dense(4), ReLU(), *([Dropout(0.3)] if rng.random() < 0.5 else []), Dense(3)]
    p = SimpleNamespace(rng=rng, folder=folder, x=x, layers=layers, loss=loss, callbacks=[], more={})
    p.y = classes if loss is softmax_cross_entropy and rng.random() < 0.7 else rows
    p.optimizer = [SGD(0.01, momentum=0.9), Adam()][rng.integers(2)]
    p.metrics = [None, {"top2": top2}][rng.integers(2)]
    p.validation = (x[:10], p.y[:10]) if rng.random() < 0.6 else None
    p.batch_size = int(rng.integers(4, 9))
    p.augment, p.prepare = None, lambda trainer: None
    monitor = "val_loss" if p.validation else "loss"
    offered = [CSVLogger(folder / "log.csv"), EarlyStopping(monitor, 3), ReduceLROnPlateau(monitor)]
    p.callbacks += [callback for callback in offered if rng.random() < 0.3]
    return p


def run(p):
    """Return how many steps were made when the first word was said; None if none was."""
    count, told = Count(), []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda *args, **kwargs: told.append(count.steps)
        try:
            model = Sequential(p.layers).build(np.shape(p.x)[1:], rng=0)
            trainer = Trainer(
                model, p.optimizer, p.loss, metrics=p.metrics, augment=p.augment, threads=1, workers="threads"
            )
            p.prepare(trainer)
            trainer.fit(
                p.x,
                p.y,
                2,
                p.batch_size,
                validation_data=p.validation,
                callbacks=[*p.callbacks, count],
                verbose=0,
                **p.more,
            )
        except REFUSED:
            told.append(count.steps)
    return told[0] if told else None


# --- mistakes ---------------------------------------------------------------------------------------------


def wrong_row(p, array):
    """Return labels with one wrong row anywhere."""
    array, row = np.array(array), p.rng.integers(len(array))
    if array.ndim == 1:
        array[row] = p.rng.choice([-1, 3, 255])
    elif p.loss is mean_squared_error:
        return array[:, :2]
    else:
        array[row] = [[0.7, 0.7, 0.7], [-1, 1, 1], [np.nan, 0, 1], [2, 0, 0]][p.rng.integers(4)]
        if p.loss is binary_cross_entropy_with_logits:
            array[row, 0] = p.rng.choice([1.5, -0.1])
    return array


def wrong_kind(p, array):
    """Return an array that holds no numbers."""
    array = np.asarray(array)
    kinds = [
        lambda: np.ma.array(array, mask=p.rng.random(array.shape) < 0.5),
        lambda: array.astype(str),
        lambda: array.astype(object),
        lambda: array + 1j,
        lambda: array.astype(int).astype("datetime64[D]"),
    ]
    return kinds[p.rng.integers(len(kinds))]()


def wrong_shape(p, array):
    array = np.asarray(array)
    if array.ndim == 1:
        return array[:, None]
    return array[: len(array) - 1] if p.rng.random() < 0.5 else array[..., None]


def change_labels(p):
    p.y = [wrong_row, wrong_kind, wrong_shape][p.rng.integers(3)](p, p.y)


def float_labels(p):
    p.y = np.argmax(p.y, axis=1).astype(float) if p.y.ndim == 2 else p.y.astype(float)


def change_examples(p):
    p.x = wrong_kind(p, p.x)


def unscaled_examples(p):
    """Images of another type than uint8; what a table holds is not known."""
    kind = str(p.rng.choice(["i2", "i8", "f4"]))
    images = np.random.default_rng(0).integers(0, 256, p.x.shape).astype(kind)
    p.x = images if p.x.ndim == 4 else wrong_kind(p, p.x)


def change_validation(p):
    x, y = p.validation or (p.x, p.y)
    wrong = [wrong_row, wrong_kind, wrong_shape][p.rng.integers(3)]
    p.validation = (x, wrong(p, y)) if p.rng.random() < 0.7 else (wrong_kind(p, x), y)


def unknown_monitor(p):
    name = str(p.rng.choice(["val_los", "accurracy", "val_top3", "val_f1_error"]))
    kinds = [EarlyStopping, ReduceLROnPlateau, lambda monitor: SaveBest(p.folder / "best", monitor)]
    p.callbacks.append(kinds[p.rng.integers(3)](name))


def unknown_direction(p):
    p.metrics = {"top2": lambda predictions, labels: 0.5}
    p.callbacks.append(EarlyStopping("top2"))


def wrong_metric(p):
    values = [np.ones(3), np.ones(1), None, "1", 1j, (0.5, 0.5)]
    value = values[p.rng.integers(len(values))]
    p.metrics = {"own": lambda predictions, labels: value}


def wrong_metric_name(p):
    names = ["loss", "epoch", "val_own", 3, None]
    p.metrics = {names[p.rng.integers(len(names))]: lambda predictions, labels: 0.5}


def wrong_loss(p):
    results = [
        lambda y: 0.5,
        lambda y: (np.ones(len(y)), y),
        lambda y: (0.5, y.sum(axis=1)),
        lambda y: (0.5, y.astype(int)),
        lambda y: (y, 0.5),
        lambda y: None,
    ]
    result = results[p.rng.integers(len(results))]
    p.loss, p.metrics = (lambda predictions, labels: result(predictions)), None


def single_output(p):
    p.layers = [*p.layers[:-1], Dense(1)]
    p.loss, p.metrics = softmax_cross_entropy, None
    p.y = np.arange(len(p.x)) % 2 if p.rng.random() < 0.5 else np.ones((len(p.x), 1))
    p.validation = None


def wrong_optimizer(p):
    p.optimizer = [Rebinds, Forgets, Hides, ReturnsNothing][p.rng.integers(4)](0.01)


def used_optimizer(p):
    other = Trainer(Dense(3).build((5,), rng=0), p.optimizer, mean_squared_error, threads=1)
    other.fit(np.ones((4, 5), np.float32), np.ones((4, 3), np.float32), verbose=0)


class NoLogs(Callback):
    def on_epoch_end(self, epoch):
        pass


class KerasHook(Callback):
    def on_train_batch_end(self, batch, logs=None):
        pass


class NoCallback:
    def on_epoch_end(self, epoch, logs):
        pass


def wrong_callback(p):
    p.callbacks.append([NoLogs, KerasHook, NoCallback][p.rng.integers(3)]())


def no_such_folder(p):
    path = p.folder / "no" / "file" if p.rng.random() < 0.5 else p.folder
    kinds = [CSVLogger, lambda where: SaveBest(where, "loss")]
    p.callbacks.append(kinds[p.rng.integers(2)](path))


def wrong_augment(p):
    p.augment = lambda x, rng: wrong_kind(p, x)


def built_again(p):
    def prepare(trainer):
        trainer.model[0].init_params(trainer.model.input_shape, np.random.default_rng(1))

    p.prepare = prepare


def finished_fit(p):
    model = Sequential(p.layers).build(np.shape(p.x)[1:], rng=0)
    trainer = Trainer(model, SGD(0.5), p.loss, metrics=p.metrics, threads=1)
    trainer.fit(p.x, p.y, 2, p.batch_size, checkpoint=p.folder / "fit", verbose=0)
    p.more = {"checkpoint": p.folder / "fit"}


class TwoNames(Layer):
    def init_params(self, input_shape, rng):
        self.parts = {1: Parameter(np.ones(1)), "1": Parameter(np.ones(1))}

    def forward(self, x):
        return x * 1

    def backward(self, dy):
        return dy * 1


def two_weights_of_one_name(p):
    p.layers = [TwoNames(), *p.layers]


def wrong_rate(p):
    p.optimizer = SGD(lambda step: -1.0) if p.rng.random() < 0.5 else SGD(lambda step: np.nan)


def limited_logits(p):
    p.loss, p.metrics, p.validation = softmax_cross_entropy, None, None
    if p.y.ndim == 2:
        p.y = p.y.argmax(axis=1)
    lasts = [Sigmoid, Tanh, ELU, SiLU, lambda: Dropout(0.5)]
    p.layers = [
        *p.layers,
        lasts[p.rng.integers(len(lasts))](),
        *([Flatten()] if p.rng.random() < 0.5 else []),
    ]


def labels_out_of_reach(p):
    p.loss, p.metrics, p.validation = mean_squared_error, None, None
    p.layers = [*p.layers, [Sigmoid, Softmax, Tanh, ReLU][p.rng.integers(4)]()]
    p.y = p.rng.normal(size=(len(p.x), 3)) * 30


def several_classes_in_a_row(p):
    p.loss, p.validation = binary_cross_entropy_with_logits, None
    p.y = np.ones((len(p.x), 3), int) - np.eye(3, dtype=int)[np.arange(len(p.x)) % 3]
    p.metrics = [["accuracy"], ["macro_f1"]][p.rng.integers(2)]


def steps_for_epochs(p):
    p.more = p.more | {"accumulate_steps": 1}
    p.x, p.y, p.batch_size, p.validation = p.x[:12], p.y[:12], 1, None
    kinds = [lambda: cosine(0.1, 2), lambda: step_decay(0.1, 1, 0.01), lambda: cosine(0.1, 100, warmup=50)]
    p.optimizer = SGD(kinds[p.rng.integers(3)]())


def callback_twice(p):
    hook = EarlyStopping("loss", 3)
    p.callbacks += [hook, hook]


def two_writers(p):
    path = p.folder / "both"
    other = CSVLogger if p.rng.random() < 0.5 else lambda path: SaveBest(path, "loss")
    p.callbacks += [CSVLogger(path), other(path)]


def worst_of_a_quantity(p):
    kinds = [EarlyStopping, ReduceLROnPlateau, lambda m, mode: SaveBest(p.folder / "best", m, mode)]
    p.callbacks.append(kinds[p.rng.integers(3)]("loss", mode="max"))


def no_room_for_a_reduction(p):
    p.optimizer = SGD(0.01)
    p.callbacks.append(ReduceLROnPlateau("loss", min_lr=0.01))


def hardly_any_content(p):
    kinds = [lambda x: x * 0 + 3, lambda x: (x > 100).astype(np.uint8), lambda x: np.float32(x / 255 / 255)]
    images = np.random.default_rng(0).integers(0, 256, (len(p.x), 8, 8, 1))
    use_images(p, kinds[p.rng.integers(3)](images))


def signed_and_unscaled(p):
    use_images(p, np.random.default_rng(0).integers(-1000, 3000, (len(p.x), 8, 8, 1)).astype("i2"))


def validation_of_another_scale(p):
    x = np.random.default_rng(0).random((len(p.x), 8, 8, 1)).astype(np.float32)
    use_images(p, x)
    kinds = [x * 2 - 1, (x - 0.5) / 0.2, x * 16, x / 9]
    p.validation = np.repeat(kinds[p.rng.integers(4)], 3, axis=0)[: 3 * len(p.y)], np.repeat(p.y, 3, axis=0)


def use_images(p, images):
    p.x, p.layers, p.validation = images, [Flatten(), Dense(3)], None


def wrong_gradient(p):
    factor, loss = [-1.0, 0.0, 16.0][p.rng.integers(3)], p.loss
    p.metrics, p.validation = None, None

    def own(predictions, labels):
        value, gradient = loss(predictions, labels)
        return value, gradient * predictions.dtype.type(factor)

    p.loss = own


def writes_into_arguments(p):
    loss, which = p.loss, p.rng.integers(3)
    p.validation = None

    def own(predictions, labels):
        result = loss(predictions, labels)
        (labels if which else predictions)[...] = 0
        return result

    def metric(predictions, labels):
        (labels if which else predictions)[...] = 0
        return 0.5

    metric.mean_over_examples = bool(p.rng.integers(2))
    if which == 2:
        p.metrics = {"own": metric}
    else:
        p.loss, p.metrics = own, None


def global_stream(p):
    p.augment = lambda x, rng: (x + np.random.normal(size=x.shape)).astype(np.float32)  # noqa: NPY002


class OwnSoftmax(Layer):
    def forward(self, x):
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.cache = y = e / e.sum(axis=1, keepdims=True)
        return y * 1

    def backward(self, dy):
        y = self.cache
        return y * (dy - (dy * y).sum(axis=1, keepdims=True))


class OwnHead(Layer):
    """A last layer with weights that ends with a softmax."""

    def init_params(self, input_shape, rng):
        self.dense, self.softmax = Dense(3).build(input_shape, rng), OwnSoftmax()
        self.softmax.build((3,))

    def forward(self, x):
        return self.softmax(self.dense(x))

    def backward(self, dy):
        return self.dense.backward(self.softmax.backward(dy))


def softmax_in_other_words(p):
    p.loss, p.metrics, p.validation = softmax_cross_entropy, None, None
    if p.y.ndim == 2:
        p.y = p.y.argmax(axis=1)
    ends = [[OwnSoftmax()], [Softmax(), Rescaling(2.0)], [Softmax(), Dropout(0.0)]]
    end = p.rng.integers(4)
    p.layers = [*p.layers[:-1], OwnHead()] if end == 3 else [*p.layers, *ends[end]]


def not_finite(p):
    wrong, row = p.rng.choice([np.nan, np.inf]), p.rng.integers(len(p.x))
    if p.loss is mean_squared_error and p.rng.random() < 0.5:
        p.y = np.array(p.y)
        p.y[row, 1] = wrong
        return
    p.x = np.divide(p.x, 255) if p.x.dtype == np.uint8 else np.array(p.x)
    p.x[row].flat[0] = wrong


def equal_labels(p):
    p.y = np.repeat(p.y[:1], len(p.y), axis=0)


def equal_examples(p):
    p.x = np.repeat(p.x[:1], len(p.x), axis=0)


def hardly_different(p):
    images = np.random.default_rng(0).random((len(p.x), 8, 8, 1))
    levels = [(100, 0.1, "f4"), (0.5, 0.001, "f8"), (40_000, 300, "u2")]
    low, width, kind = levels[p.rng.integers(3)]
    use_images(p, (low + images * width).astype(kind))


def another_order(p):
    p.augment = [lambda x, rng: x[::-1], lambda x, rng: rng.permutation(x)][p.rng.integers(2)]


class SkipsBiases(SGD):
    def step(self, parameters):
        super().step([p for p in parameters if p.value.ndim > 1])


class CountsNothing(SGD):
    def step(self, parameters):
        for p in parameters:
            p.value[...] -= 0.01 * p.grad


def updates_too_little(p):
    kinds = [SkipsBiases(0.01), CountsNothing(0.01), SGD(1e-12), Adam(1e-12), SGD(0.01, clip_norm=1e-12)]
    p.optimizer = kinds[p.rng.integers(5)]


def tied_later(p):
    first, second = Dense(3), Dense(3)
    p.layers = [*p.layers, first, second]

    def prepare(trainer):
        if first.input_shape and second.input_shape:  # another mistake may have replaced them
            second.kernel = first.kernel

    p.prepare = prepare


def one_buffer(p):
    loss, buffers = p.loss, {}
    p.metrics, p.validation = None, None

    def own(predictions, labels):
        value, gradient = loss(predictions, labels)
        buffer = buffers.setdefault((gradient.shape, gradient.dtype), np.empty_like(gradient))
        buffer[...] = gradient
        return value, buffer

    p.loss = own


MISTAKES = [
    change_labels,
    float_labels,
    change_examples,
    unscaled_examples,
    change_validation,
    unknown_monitor,
    unknown_direction,
    wrong_metric,
    wrong_metric_name,
    wrong_loss,
    single_output,
    wrong_optimizer,
    used_optimizer,
    wrong_callback,
    no_such_folder,
    wrong_augment,
    built_again,
    finished_fit,
    two_weights_of_one_name,
    wrong_rate,
    limited_logits,
    labels_out_of_reach,
    several_classes_in_a_row,
    steps_for_epochs,
    callback_twice,
    two_writers,
    worst_of_a_quantity,
    no_room_for_a_reduction,
    hardly_any_content,
    signed_and_unscaled,
    validation_of_another_scale,
    wrong_gradient,
    writes_into_arguments,
    global_stream,
    softmax_in_other_words,
    not_finite,
    equal_labels,
    equal_examples,
    hardly_different,
    another_order,
    updates_too_little,
    tied_later,
    one_buffer,
]


def apply(mistake, p):
    """Make a mistake; another one may already be in its way, which is as well."""
    try:
        mistake(p)
    except (*REFUSED, UserWarning):
        p.prepare = refuse


def refuse(trainer):
    raise ValueError("a mistake was refused while it was made")


def campaign(folder, sequences, seed):
    for number in range(sequences):
        rng = np.random.default_rng([seed, number])
        place = folder / str(number)
        place.mkdir()
        p = program(rng, place)
        first = MISTAKES[number % len(MISTAKES)]
        others = [MISTAKES[i] for i in rng.integers(len(MISTAKES), size=rng.integers(0, 3))]
        for mistake in (first, *others):
            apply(mistake, p)
        names = [mistake.__name__ for mistake in (first, *others)]
        assert run(p) == 0, f"sequence {number} of seed {seed}: {names}"
        right = program(np.random.default_rng([seed, number]), place)
        assert run(right) is None, f"the program {number} of seed {seed} without a mistake"


def test_sequences_of_mistakes_are_told_before_the_first_step(tmp_path):
    campaign(tmp_path, SMALL, 0)


@pytest.mark.campaign
@pytest.mark.parametrize("seed", [1, 2])
def test_many_sequences_of_mistakes_are_told_before_the_first_step(tmp_path, seed):
    campaign(tmp_path, MANY, seed)
