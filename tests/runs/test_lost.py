"""Nothing is lost and nothing hangs: closed descriptors, pipes, full disks, signals."""

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from full_disk import full_disk
from toy_data import write_folder

from minicnn import (
    SGD,
    Callback,
    CSVLogger,
    Dense,
    FileFormatError,
    SaveBest,
    Sequential,
    Trainer,
    save_model,
    save_weights,
)
from minicnn.cli import main
from minicnn.losses import softmax_cross_entropy
from minicnn.runs import TrainConfig, create_run, is_finished, load_data, open_run, open_unfinished_run, train
from minicnn.runs.interrupt import StopOnSignal
from minicnn.training.state import TrainingState

X, Y = np.random.default_rng(0).normal(size=(24, 4)).astype(np.float32), np.arange(24) % 3


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_folder(tmp_path_factory.mktemp("toy") / "toy", train=10, test=10)
    return load_data(TrainConfig(dataset=str(folder)))


@pytest.fixture
def run(data, tmp_path):
    made = create_run(TrainConfig(), data, tmp_path / "run")
    save_model(made.model, made.folder / "model.safetensors")
    return made


# --- what is not a file -----------------------------------------------------------------------------------


def folder(path):
    path.mkdir()


def link(path):
    path.symlink_to("/dev/null")


@pytest.mark.parametrize("make", [os.mkfifo, folder, link])
@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        "history.csv",
        "model.safetensors",
        "result.json",
        "report.html",
        "curves.png",
        "checkpoints/step-00000003.safetensors",
        "checkpoints/.run.lock",
    ],
)
def test_what_stands_in_place_of_a_file_is_named_at_once(run, name, make):
    path = run.folder / name
    path.unlink(missing_ok=True)
    make(path)
    for opened in (open_run, open_unfinished_run):
        with pytest.raises(FileFormatError, match=f"{path.name} is a (pipe|folder in place of|link)"):
            opened(run.folder)


def test_a_file_in_place_of_the_checkpoints_is_named(run, tmp_path):
    shutil.rmtree(run.folder / "checkpoints")
    (run.folder / "checkpoints").write_text("mine")
    for opened in (open_run, open_unfinished_run):
        with pytest.raises(FileFormatError, match="checkpoints is a file in place of a folder"):
            opened(run.folder)
    trainer = Trainer(Dense(3).build((4,), rng=0), SGD(), threads=1)
    with pytest.raises(FileExistsError, match=r"a file stands where a folder must be: .*checkpoints"):
        trainer.fit(X, Y, checkpoint=run.folder / "checkpoints", verbose=0)
    assert (run.folder / "checkpoints").read_text() == "mine"


def test_a_folder_of_the_user_in_a_run_is_left_alone(run):
    (run.folder / "notes").mkdir()
    (run.folder / "checkpoints" / "old").mkdir()
    assert open_run(run.folder).config == run.config


def test_a_log_into_a_pipe_that_nobody_reads_is_an_error(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    trainer = Trainer(Dense(3).build((4,), rng=0), SGD(), threads=1)
    with pytest.raises(OSError, match="a pipe that no process reads") as caught:
        trainer.fit(X, Y, callbacks=[CSVLogger(pipe)], verbose=0)
    assert caught.value.errno == errno.ENXIO
    with pytest.raises(OSError, match="a pipe that no process reads"):
        save_weights(trainer.model, pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    trainer.fit(X, Y, callbacks=[CSVLogger(pipe)], verbose=0)
    assert os.read(reader, 100).startswith(b"epoch,loss,accuracy\r\n0,")
    os.close(reader)


def test_a_damaged_result_does_not_stop_a_resume(run):
    result = run.folder / "result.json"
    for content in ('{"interrupted": false}', '{"interrupted": true}', "{", "[]", "\0"):
        result.write_text(content)
        assert is_finished(run.folder) == (content == '{"interrupted": false}')


@pytest.mark.parametrize("threads", [65, 480])
def test_a_configuration_cannot_ask_for_hundreds_of_threads(run, threads):
    path = run.folder / "config.json"
    config = json.loads(path.read_text())
    config["train"]["threads"] = threads
    path.write_text(json.dumps(config))
    with pytest.raises(FileFormatError, match=f"`threads` must be at most 64, got {threads}"):
        open_unfinished_run(run.folder)


# --- a full disk ------------------------------------------------------------------------------------------


def test_a_run_that_cannot_begin_leaves_no_folder(data, tmp_path):
    with full_disk(), pytest.raises(OSError, match="free some disk space"):
        create_run(TrainConfig(), data, tmp_path / "run")
    assert not list(tmp_path.iterdir())
    assert create_run(TrainConfig(), data, tmp_path / "run").folder.is_dir()


class FullDisk(Callback):
    """The disk is full from a step on."""

    def __init__(self, step, size):
        self.step, self.size, self.open = step, size, contextlib.ExitStack()

    def on_batch_end(self, step, logs):
        if self.state.optimizer.steps == self.step:
            self.open.enter_context(full_disk(self.size))


@pytest.mark.parametrize("size", [0, 700])
@pytest.mark.parametrize("step", [1, 2, 5, 6])
def test_a_disk_that_is_full_at_any_write_loses_nothing(tmp_path, step, size):
    def fit(folder, *more):
        folder.mkdir(exist_ok=True)
        model = Sequential([Dense(3)]).build((4,), rng=0)
        hooks = [CSVLogger(folder / "log.csv"), SaveBest(folder / "best.safetensors", "loss"), *more]
        Trainer(model, SGD(0.1, momentum=0.9), threads=1).fit(
            X, Y, 3, 12, callbacks=hooks, checkpoint=folder / "checkpoints", checkpoint_every=1, verbose=0
        )
        files = [(folder / name).read_bytes() for name in ("log.csv", "best.safetensors")]
        return [*model.get_weights(), *files]

    full = FullDisk(step, size)
    with full.open, pytest.raises(OSError, match="free some disk space"):
        fit(tmp_path / "full", full)
    for a, b in zip(fit(tmp_path / "full"), fit(tmp_path / "whole"), strict=True):
        np.testing.assert_array_equal(a, b)


# --- a folder that is replaced in the middle --------------------------------------------------------------


def another(folder):
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "history.csv").write_text("epoch,loss\r\n")


class Replace(Callback):
    """Moves a run's folder away after a step, and makes something in its place."""

    def __init__(self, folder, step, make):
        self.folder, self.step, self.make = folder, step, make

    def on_batch_end(self, step, logs):
        if self.state.optimizer.steps == self.step:
            self.folder.rename(self.folder.with_name("away"))
            self.make(self.folder)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A net, and the files of a run of it that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "net.py").write_text(
        "from minicnn import Dense, Flatten, Sequential\n"
        "def net(classes): return Sequential([Flatten(), Dense(classes)])\n"
    )
    toy = write_folder(folder / "toy", train=40, test=10)
    config = TrainConfig(dataset=str(toy), val_split=0.0, epochs=2, batch_size=16, threads=1)
    data, config = load_data(config), replace(config, model=f"{folder / 'net.py'}:net")
    train(create_run(config, data, folder / "whole", checkpoint_every=2), data, verbose=0)
    return config, data, contents(folder / "whole")


def contents(folder):
    return [(folder / name).read_bytes() for name in ("model.safetensors", "history.csv")]


@pytest.mark.parametrize("make", [lambda folder: None, Path.mkdir, Path.touch, another])
@pytest.mark.parametrize("step", [3, 6])  # before the end of an epoch, and before the end of all
def test_a_run_whose_folder_is_replaced_writes_nothing_there_and_can_resume(tmp_path, small, step, make):
    config, data, expected = small
    run = create_run(config, data, tmp_path / "run", checkpoint_every=2)
    with pytest.raises(OSError, match=r"No such file|Not a directory|another folder has taken the place"):
        train(run, data, [Replace(run.folder, step, make)], verbose=0)
    make(tmp_path / "expected")
    assert tree(run.folder) == tree(tmp_path / "expected")
    if run.folder.is_dir():
        shutil.rmtree(run.folder)
    run.folder.unlink(missing_ok=True)
    (tmp_path / "away").rename(run.folder)
    train(open_unfinished_run(run.folder), data, verbose=0)
    assert contents(run.folder) == expected


def tree(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


def test_a_run_whose_folder_moves_behind_a_link_continues(tmp_path, small):
    config, data, expected = small
    run = create_run(config, data, tmp_path / "run", checkpoint_every=2)
    train(run, data, [Replace(run.folder, 3, lambda path: path.symlink_to(tmp_path / "away"))], verbose=0)
    assert contents(tmp_path / "away") == expected


def test_a_folder_of_checkpoints_that_is_replaced_stays_as_it_is(tmp_path):
    folder = tmp_path / "checkpoints"
    trainer = Trainer(Dense(3).build((4,), rng=0), SGD(), threads=1)
    replacing = Replace(folder, 2, Path.mkdir)
    with pytest.raises(OSError, match="another folder has taken the place"):
        trainer.fit(X, Y, 2, 8, callbacks=[replacing], checkpoint=folder, checkpoint_every=1, verbose=0)
    assert not list(folder.iterdir())
    assert (tmp_path / "away" / "step-00000001.safetensors").exists()


# --- a folder that becomes read-only ----------------------------------------------------------------------

_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2  # of Linux's capabilities: permissions do not hold for this process


@contextlib.contextmanager
def permissions_hold():
    """Let permissions hold in this thread for root, too."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() != 0:
        yield
        return
    if not hasattr(libc, "capset"):
        pytest.skip("permissions do not hold for root")
    header, before = (ctypes.c_uint32 * 2)(0x20080522, 0), (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    lowered = (ctypes.c_uint32 * 6)(*before)
    lowered[0] &= ~(1 << _DAC_OVERRIDE | 1 << _DAC_READ_SEARCH)  # of the effective ones
    assert libc.capset(header, lowered) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


class ReadOnly(Callback):
    """Makes folders read-only after a step."""

    def __init__(self, folders, step):
        self.folders, self.step = folders, step

    def on_batch_end(self, step, logs):
        if self.state.optimizer.steps == self.step:
            change_mode(self.folders, 0o555)


def change_mode(folders, mode):
    for folder in folders:
        folder.chmod(mode)


@pytest.mark.parametrize("step", [3, *(pytest.param(step, marks=pytest.mark.ci) for step in (1, 5, 6))])
@pytest.mark.parametrize("parts", [[""], ["checkpoints"], ["checkpoints", ""]], ids="+".join)
def test_a_run_whose_folder_becomes_read_only_loses_nothing(tmp_path, small, capsys, step, parts):
    config, data, expected = small
    run = create_run(config, data, tmp_path / "run", checkpoint_every=2)
    folders = [run.folder / part for part in parts]
    with permissions_hold():
        with pytest.raises(OSError, match="Permission denied; make the folder writable"):
            train(run, data, [ReadOnly(folders, step)], verbose=0)
        before = tree(run.folder)
        assert main(["train", "--resume", str(run.folder)]) == 2  # still read-only
        assert tree(run.folder) == before
        assert "make the folder writable" in capsys.readouterr().err
        change_mode(folders, 0o755)
        train(open_unfinished_run(run.folder), data, verbose=0)
    assert contents(run.folder) == expected


def test_a_run_in_a_read_only_folder_leaves_nothing_there(tmp_path, data):
    with permissions_hold():
        tmp_path.chmod(0o555)
        with pytest.raises(OSError, match="Permission denied"):
            create_run(TrainConfig(), data, tmp_path / "run")
        tmp_path.chmod(0o755)
        assert not list(tmp_path.iterdir())
        assert create_run(TrainConfig(), data, tmp_path / "run").folder.is_dir()


# --- signals and descriptors ------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_training_after_the_step(number, capfd):
    before = signal.signal(
        number, signal.default_int_handler
    )  # it may be ignored where the tests were started
    try:
        with StopOnSignal() as stop:
            stop.state = TrainingState(Dense(2).build((3,)), SGD(), softmax_cross_entropy)
            os.kill(os.getpid(), number)
            assert stop.received == number
            assert stop.state.interrupted
            assert "stopping after this step" in capfd.readouterr().err
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), number)
    finally:
        signal.signal(number, before)


def test_a_signal_that_is_ignored_stays_ignored():
    """As `nohup` does with SIGHUP."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopOnSignal() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not stop.received
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


CLOSED = """
import os, sys
sys.argv = ["minicnn"]
import minicnn.startup
import signal
assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
path = {path!r}
file = open(path, "w")
assert file.fileno() > 2
file.write("data")
file.flush()
from minicnn.cli import main
assert main(["train", "--resume", "nowhere"]) == 2
assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
from minicnn.runs.interrupt import StopOnSignal
with StopOnSignal() as stop:
    os.dup2(file.fileno(), 2)  # as if the number had been closed and used for a file
    os.kill(os.getpid(), 15)
os._exit(0 if open(path).read() == "data" and stop.received == 15 else 3)
"""


@pytest.mark.parametrize("closed", ["0<&- 1>&- 2>&-", "2>&-"])
def test_messages_do_not_go_into_files(tmp_path, closed):
    program = CLOSED.format(path=str(tmp_path / "file"))
    arguments = ["sh", "-c", f'"$0" -c "$1" {closed}', sys.executable, program]
    process = subprocess.run(arguments, capture_output=True, timeout=60, cwd=tmp_path)
    assert process.returncode == 0, process.stderr
    assert stat.S_ISREG((tmp_path / "file").stat().st_mode)


# --- the command -------------------------------------------------------------------------------------------


def run_dying(runs):
    script = Path(__file__).with_name("dying_runs.py")
    command = [sys.executable, "-W", "ignore", script, "--runs", str(runs)]
    result = subprocess.run(command, capture_output=True, text=True)
    counts = json.loads(result.stdout or "{}")
    found = [counts.get(name) for name in ("hung", "lost", "different")]
    assert found == [0, 0, 0], f"{counts}\n{result.stderr}"


def test_a_command_that_comes_to_harm_is_resumed_to_the_same_files():
    run_dying(1)


@pytest.mark.campaign
def test_of_500_commands_that_come_to_harm_none_is_lost():
    run_dying(500)


# --- no further threads -----------------------------------------------------------------------------------

NO_CLONES = """
import ctypes, struct, sys
program = [(0x20, 0, 0, 0)]  # clone and clone3 fail as with a full table of processes, which root never sees
for number in (56, 57, 58, 435):
    program += [(0x15, 0, 1, number), (0x06, 0, 0, 0x00050000 | 11)]
program.append((0x06, 0, 0, 0x7FFF0000))
code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
buffer = ctypes.create_string_buffer(code)
libc = ctypes.CDLL(None)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, struct.pack("HP", len(program), ctypes.addressof(buffer)), 0, 0) == 0
"""
COMMAND = """
import sys
import minicnn.startup
from minicnn.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.ci
@pytest.mark.skipif(sys.platform != "linux" or os.uname().machine != "x86_64", reason="numbers of Linux")
def test_a_command_that_can_start_no_threads_says_so_and_works_with_one_or_afterwards(tmp_path):
    toy = write_folder(tmp_path / "toy", train=128, test=10)

    def command(code, *arguments):
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # which else ends the process by itself
        program = [sys.executable, "-c", code + COMMAND, "train", *arguments]
        return subprocess.run(program, capture_output=True, text=True, env=environment, timeout=120)

    begin = ["--dataset", str(toy), "--epochs", "2", "--batch-size", "64", "--threads"]
    ended = command(NO_CLONES, *begin, "2", "--out", str(tmp_path / "run"))
    assert ended.returncode == 2, ended.stderr
    assert ended.stderr.endswith(
        "minicnn train: cannot start another thread: raise the limit of processes (ulimit -u) or of memory "
        "(ulimit -v), or use --threads 1\n"
    )
    alone = command(NO_CLONES, *begin, "1", "--out", str(tmp_path / "alone"))  # as the sentence says
    assert alone.returncode == 0, alone.stderr
    assert command("", "--resume", str(tmp_path / "run")).returncode == 0
    assert command("", *begin, "2", "--out", str(tmp_path / "whole")).returncode == 0
    assert contents(tmp_path / "run") == contents(tmp_path / "whole")
