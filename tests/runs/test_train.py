import functools
import os
import signal

import numpy as np
import pytest
from toy_data import write_folder

from minicnn import SGD, Callback, Trainer
from minicnn.losses import softmax_cross_entropy
from minicnn.runs import (
    TrainConfig,
    create_run,
    evaluate,
    is_finished,
    load_data,
    open_run,
    open_unfinished_run,
    read_history,
    read_result,
    train,
)
from minicnn.saving.checkpoints import CheckpointFolder
from minicnn.saving.files import locked
from minicnn.saving.fingerprint import environment


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_folder(tmp_path_factory.mktemp("toy") / "toy")


def make(folder, out, **choices):
    config = TrainConfig(
        **({"dataset": str(folder), "epochs": 2, "batch_size": 50, "threads": 1, "val_split": 0.0} | choices)
    )
    data = load_data(config)
    return create_run(config, data, out), data


class SendSignal(Callback):
    """Send this process a signal, `times` times in a row, in one of the steps."""

    def __init__(self, number, step, times=1):
        self.number, self.step, self.times = number, step, times

    def on_batch_end(self, step, logs):
        if step == self.step:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_train_fills_the_folder_with_what_the_trainer_does(folder, tmp_path, smoothing):
    run, data = make(folder, tmp_path / "run", lr=0.01, label_smoothing=smoothing)
    trained = train(run, data)

    config = TrainConfig(lr=0.01, epochs=2, batch_size=50)
    model = config.build_model((28, 28, 1), 10)
    loss = functools.partial(softmax_cross_entropy, label_smoothing=smoothing)
    trainer = Trainer(model, config.make_optimizer(160), loss, seed=0, threads=1)
    expected = trainer.fit(*data.train, epochs=2, batch_size=50)

    assert read_history(run.folder) == trained.history == expected
    for ours, theirs in zip(open_run(run.folder).model.get_weights(), model.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    result = read_result(run.folder)
    assert result == trained.values
    plain = Trainer(model, SGD(0.1), threads=1).evaluate(*data.test)
    assert {"loss": result["test_loss"], "accuracy": result["test_accuracy"]} == plain
    assert (result["epochs"], result["steps"], result["parameters"]) == (2, 8, 61706)
    assert result["images_per_second"] == pytest.approx(320 / result["seconds"], rel=0.05)
    assert result["interrupted"] is False


def test_train_with_held_out_images_is_scored_on_the_test_set(folder, tmp_path):
    run, data = make(folder, tmp_path / "run", val_split=0.125)
    trained = train(run, data)
    held_out = evaluate(run.model, *data.validation)[0]["accuracy"]
    assert trained.history.history["val_accuracy"][-1] == held_out
    assert trained.values["test_accuracy"] == evaluate(run.model, *data.test)[0]["accuracy"]
    assert trained.logits.shape == (40, 10)


def test_train_twice_gives_the_same_bytes_and_another_seed_others(folder, tmp_path):
    weights = []
    for name, seed in (("a", 7), ("b", 7), ("c", 8)):
        run, data = make(folder, tmp_path / name, seed=seed, augment=True, val_split=0.125, epochs=1)
        train(run, data)
        weights.append((run.folder / "model.safetensors").read_bytes())
    assert weights[0] == weights[1] != weights[2]


def test_train_uses_the_augmentation(folder, tmp_path):
    weights = []
    for augment in (False, True):
        run, data = make(folder, tmp_path / str(augment), augment=augment, epochs=1)
        train(run, data)
        weights.append(run.model.get_weights()[0])
    assert not np.array_equal(*weights)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_training_after_the_step_and_saves(folder, tmp_path, number):
    handlers = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    run, data = make(folder, tmp_path / "run", epochs=5)
    trained = train(run, data, [SendSignal(number, step=1)])
    assert (trained.logits, trained.signal) == (None, number)
    result = read_result(run.folder)
    assert (result["interrupted"], result["steps"], result["epochs"]) == (True, 2, 0)
    assert "test_accuracy" not in result
    for ours, theirs in zip(open_run(run.folder).model.get_weights(), run.model.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)
    assert [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)] == handlers


def test_a_second_signal_stops_at_once(folder, tmp_path):
    handler = signal.getsignal(signal.SIGINT)
    run, data = make(folder, tmp_path / "run")
    with pytest.raises(KeyboardInterrupt) as interrupt:
        train(run, data, [SendSignal(signal.SIGINT, step=0, times=2)])
    assert interrupt.value.args == (signal.SIGINT,)
    assert not (run.folder / "model.safetensors").exists()
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("choices", [{"threads": 2, "augment": True}, {"val_split": 0.125}])
def test_a_run_that_was_stopped_twice_ends_as_one_that_was_not(folder, tmp_path, choices):
    whole, data = make(folder, tmp_path / "whole", **choices)
    expected = train(whole, data)
    run, data = make(folder, tmp_path / "run", **choices)
    train(run, data, [SendSignal(signal.SIGTERM, step=1)])
    states = CheckpointFolder(run.folder / "checkpoints").latest().state["callbacks"]
    assert not is_finished(run.folder)
    run = open_unfinished_run(run.folder)  # as another process would
    with pytest.raises(KeyboardInterrupt):
        train(run, data, [SendSignal(signal.SIGINT, step=2, times=2)])
    trained = train(open_unfinished_run(run.folder), data)
    assert is_finished(run.folder)
    assert trained.history == expected.history
    for name in ("model.safetensors", "history.csv"):
        assert (run.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    times = {"seconds", "images_per_second", "peak_memory_mb"}
    ours, theirs = ({k: v for k, v in o.values.items() if k not in times} for o in (trained, expected))
    assert ours == theirs
    assert trained.values["seconds"] > max(state.get("seconds", 0) for state in states.values()) > 0


def test_a_run_that_died_before_its_evaluation_is_evaluated(folder, tmp_path):
    run, data = make(folder, tmp_path / "run")
    expected = train(run, data).values
    (run.folder / "result.json").unlink()
    (run.folder / "model.safetensors").unlink()
    (run.folder / ".model.safetensors.0123abcd.tmp").touch()
    result = train(open_unfinished_run(run.folder), data).values
    assert (result["test_loss"], result["steps"]) == (expected["test_loss"], expected["steps"])
    assert open_run(run.folder).config == run.config
    assert not list(run.folder.glob(".*.tmp"))


def test_two_processes_do_not_train_into_one_folder(folder, tmp_path):
    run, data = make(folder, tmp_path / "run")
    with (
        locked(run.folder / "checkpoints" / ".run.lock"),
        pytest.raises(BlockingIOError, match="another process"),
    ):
        train(run, data)
    assert train(run, data).logits is not None


def test_checkpoints_follow_checkpoint_every(folder, tmp_path):
    config = TrainConfig(dataset=str(folder), epochs=2, batch_size=50, threads=1, val_split=0.0)
    data = load_data(config)
    create_run(config, data, tmp_path / "run", checkpoint_every=3)
    run = open_unfinished_run(tmp_path / "run")
    assert run.checkpoint_every == 3
    train(run, data)
    names = sorted(path.name for path in (run.folder / "checkpoints").glob("step-*"))
    assert names == [f"step-0000000{step}.safetensors" for step in (3, 6, 8)]


def test_a_diverging_training_leaves_no_weights(folder, tmp_path):
    run, data = make(folder, tmp_path / "run", lr=1e30, schedule="constant")
    with pytest.raises(FloatingPointError, match="epoch 0, step 1"):
        train(run, data)
    names = ["checkpoints", "config.json", "history.csv"]
    assert sorted(path.name for path in run.folder.iterdir()) == names


def test_no_epoch_leaves_the_first_weights(folder, tmp_path):
    run, data = make(folder, tmp_path / "run", epochs=0)
    first = run.model.get_weights()
    assert train(run, data).values["images_per_second"] == 0
    assert all(
        np.array_equal(a, b) for a, b in zip(first, open_run(run.folder).model.get_weights(), strict=True)
    )


def test_environment_names_versions_and_blas():
    found = environment()
    assert found["numpy"] == np.__version__
    assert all(pool["num_threads"] >= 1 for pool in found["blas"])
