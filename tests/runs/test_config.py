import math
import re

import numpy as np
import pytest

from minicnn import SGD, AdamW, RMSprop
from minicnn.losses import softmax_cross_entropy
from minicnn.models import MODELS, NamedModel, lenet5
from minicnn.optimizers import OPTIMIZERS, NamedOptimizer
from minicnn.runs import TrainConfig
from minicnn.runs.config import SCHEDULES


def test_config_fills_in_the_rates_of_its_optimizer():
    assert (TrainConfig(optimizer="sgd").lr, TrainConfig(optimizer="sgd").weight_decay) == (0.05, 0.0)
    assert TrainConfig(optimizer="rmsprop").lr == 1e-3
    assert (TrainConfig(optimizer="sgd", lr=0.3).lr, TrainConfig(weight_decay=0).weight_decay) == (0.3, 0.0)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (
            {"model": "os.system"},
            f"`model` must be one of {', '.join(MODELS)}, FILE.py:NAME or MODULE:NAME, got 'os.system'",
        ),
        ({"optimizer": "?"}, f"`optimizer` must be one of {', '.join(OPTIMIZERS)}, got '?'"),
        ({"schedule": ""}, "`schedule` must be one of cosine, constant, got ''"),
        ({"epochs": -1}, "`epochs` must be at least 0, got -1"),
        ({"batch_size": 0}, "`batch_size` must be at least 1, got 0"),
        ({"seed": -1}, "`seed` must be at least 0, got -1"),
        ({"limit": 0}, "`limit` must be at least 1, got 0"),
        ({"threads": 0}, "`threads` must be at least 1, got 0"),
        ({"val_split": -0.5}, "`val_split` must be in [0, 1), got -0.5"),
        ({"val_split": 1.0}, "`val_split` must be in [0, 1), got 1"),
        ({"size": "0"}, "`size` must be 1 to 256 in each direction, got '0'"),
        ({"size": "9" * 99}, "`size` must be 1 to 256 in each direction"),
        ({"size": "12x"}, "`size` must be N or HEIGHTxWIDTH, such as 32 or 24x32, got '12x'"),
        ({"channels": 2}, "`channels` must be 1 or 3, got 2"),
        ({"threads": 65}, "`threads` must be at most 64"),
        ({"limit": 10**400}, "`limit` must be at most 1,000,000,000"),
        ({"label_smoothing": 1.0}, "`label_smoothing` must be in [0, 1), got 1"),
        ({"label_smoothing": math.nan}, "`label_smoothing` must be in [0, 1), got nan"),
        ({"lr": math.nan}, "`lr` must be in [0, inf), got nan"),
        ({"lr": -0.1}, "`lr` must be in [0, inf), got -0.1"),
        ({"weight_decay": math.inf}, "`weight_decay` must be in [0, inf), got inf"),
    ],
)
def test_config_refuses_values_out_of_range(choice, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        TrainConfig(**choice)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"epochs": "3"}, "`epochs` must be int or None, got '3'"),
        ({"epochs": True}, "`epochs` must be int or None, got True"),
        ({"epochs": 1.0}, "`epochs` must be int or None, got 1.0"),
        ({"augment": 1}, "`augment` must be bool, got 1"),
        ({"lr": "0.1"}, "`lr` must be float or None, got '0.1'"),
        ({"model": ["lenet5"]}, "`model` must be str, got ['lenet5']"),
        ({"dataset": None}, "`dataset` must be str, got None"),
    ],
)
def test_config_refuses_wrong_types(choice, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        TrainConfig(**choice)


def test_config_survives_the_way_through_a_dict():
    config = TrainConfig(
        model="lenet5-1998", dataset="/data/kmnist", epochs=3, lr=0.5, limit=100, augment=True
    )
    assert TrainConfig.from_dict(config.to_dict()) == config


def test_from_dict_demands_what_is_trained_and_nothing_unknown():
    choices = TrainConfig().to_dict()
    del choices["dataset"]
    with pytest.raises(ValueError, match="missing or unknown in a `TrainConfig`: dataset, layers"):
        TrainConfig.from_dict(choices | {"layers": "import os"})


def test_from_dict_gives_choices_of_later_versions_their_defaults():
    assert TrainConfig.from_dict({"model": "lenet5", "dataset": "mnist", "lr": 0.5}) == TrainConfig(lr=0.5)


def test_schedule_rises_for_a_twentieth_and_falls_to_zero():
    schedule = TrainConfig(lr=0.8).make_schedule(1000)
    assert [schedule(step) for step in (0, 25, 50)] == [0.0, 0.4, 0.8]
    assert schedule(525) == pytest.approx(0.4)  # half of the cosine
    assert schedule(1000) == 0.0


def test_loss_spreads_the_labels_only_if_asked():
    logits, labels = np.array([[2.0, 0.0, 0.0]]), np.array([0])
    assert TrainConfig().make_loss() is softmax_cross_entropy
    loss, _ = TrainConfig(label_smoothing=0.3).make_loss()(logits, labels)
    # Cross-entropy with probabilities 0.8, 0.1, 0.1.
    assert loss == pytest.approx(np.log(np.exp(2.0) + 2.0) - 0.8 * 2.0)


def test_constant_schedule_stays_at_lr():
    schedule = TrainConfig(lr=0.8, schedule="constant").make_schedule(10)
    assert {schedule(step) for step in range(20)} == {0.8}


def test_schedule_of_no_steps_can_be_made():
    assert TrainConfig(lr=0.8).make_schedule(0)(0) == 0.8


def test_make_optimizer_spreads_the_schedule_over_all_steps():
    # 100 images in batches of 30 are 4 steps an epoch, the last one smaller: 20 steps, 1 of warm-up.
    optimizer = TrainConfig(lr=1.0, epochs=5, batch_size=30).make_optimizer(100)
    assert isinstance(optimizer, AdamW)
    assert (optimizer.lr(0), optimizer.lr(1), optimizer.lr(20)) == (0.0, 1.0, 0.0)
    assert optimizer.lr(19) > 0
    assert optimizer.weight_decay == TrainConfig().weight_decay


def test_make_optimizer_takes_the_class_of_the_name():
    assert isinstance(TrainConfig(optimizer="rmsprop").make_optimizer(10), RMSprop)
    sgd = TrainConfig(optimizer="sgd").make_optimizer(10)
    assert (type(sgd), sgd.momentum, sgd.nesterov) == (SGD, 0.9, True)


def test_build_model_follows_the_seed():
    first, again, other = (
        TrainConfig(seed=seed).build_model((28, 28, 1), 10).get_weights() for seed in (1, 1, 2)
    )
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert first[-1].shape == (10,)


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((10**6, 10**6, 1), 10, "`input_shape` must be (H, W, C), at most (256, 256, 64)"),
        ((28, 28), 10, "`input_shape` must be (H, W, C)"),
        ((28, 28, 0), 10, "`input_shape` must have positive sizes"),
        ((28, 28, 1), 10**9, "`num_classes` must be 1 to 10,000, got 1,000,000,000"),
        ((28, 28, 1), 0, "`num_classes` must be 1 to 10,000, got 0"),
        ((4, 4, 1), 10, "layer 3 (Conv2D)"),
    ],
)
def test_build_model_refuses_what_is_unreasonable(shape, classes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        TrainConfig().build_model(shape, classes)


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("shape", "classes"), [((20, 20, 1), 1), ((32, 33, 3), 10), ((128, 200, 1), 5000)])
def test_min_bytes_is_a_lower_bound(model, shape, classes):
    config = TrainConfig(model=model)
    weights = config.build_model(tuple(max(size, 32) for size in shape[:2]) + shape[2:], classes)
    assert 0 < config.min_bytes(shape, classes) <= sum(p.value.nbytes for p in weights.parameters())


def test_a_model_without_min_bytes_needs_none(monkeypatch):
    monkeypatch.setitem(MODELS, "mine", NamedModel(lenet5))
    assert TrainConfig(model="mine").min_bytes((28, 28, 1), 10) == 0


def test_config_takes_what_is_registered(monkeypatch):
    monkeypatch.setitem(OPTIMIZERS, "mine", NamedOptimizer(RMSprop, lr=0.125, weight_decay=0.5))
    monkeypatch.setitem(SCHEDULES, "halved", lambda lr, steps: lambda step: lr / 2)
    config = TrainConfig(optimizer="mine", schedule="halved")
    optimizer = config.make_optimizer(1000)
    assert (type(optimizer), optimizer.lr(3), optimizer.weight_decay) == (RMSprop, 0.0625, 0.5)
