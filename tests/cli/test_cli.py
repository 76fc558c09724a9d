import os
import re
import signal
import subprocess
import sys
import time

import pytest
from toy_data import write_folder

import minicnn
from minicnn.cli import COMMANDS, main
from minicnn.cli.errors import one_line
from minicnn.models import MODELS


def start(*arguments, **settings):
    """Start the command in a process of its own, which obeys Ctrl-C also where the tests do not."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | settings
    command = [sys.executable, "-m", "minicnn", *map(str, arguments)]
    return subprocess.Popen(command, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **pipes)


def test_without_arguments_it_prints_its_help(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    names = ["train", "evaluate", "predict", "summary", "check", "grade"]
    assert sorted(names, key=lambda name: out.index(f"\n    {name} ")) == names


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_command_has_a_help_with_an_example(command, capsys):
    name = command.__name__.rpartition(".")[2]
    with pytest.raises(SystemExit, match="0"):
        main([name, "--help"])
    out = capsys.readouterr().out
    assert re.search(rf"\nexamples?:\n  minicnn {name} ", out)
    assert max(map(len, out.splitlines())) <= 110


def test_version(capsys):
    with pytest.raises(SystemExit, match="0"):
        main(["--version"])
    assert capsys.readouterr().out == f"minicnn {minicnn.__version__}\n"


def test_help_loads_nothing_heavy():
    code = """
import sys
from minicnn.cli import main
try:
    main(["train", "--help"])
except SystemExit:
    pass
print([m for m in ("matplotlib", "PIL", "tensorflow", "hypothesis", "minicnn.testing") if m in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("\n[]\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["fly"], "minicnn: unknown command 'fly' (see minicnn --help)"),
        (["train", "--epochs", "many"], "minicnn train: argument --epochs: invalid int value: 'many'"),
        (
            ["train", "--model", "vgg"],
            f"minicnn train: --model must be one of {', '.join(MODELS)}, FILE.py:NAME, got 'vgg'; did you",
        ),
        (["train", "--val", "5"], "minicnn train: unknown option '--val'; did you mean '--val-split'? (see"),
        (["evaluate"], "minicnn evaluate: the following arguments are required: RUN"),
        (["check", "x.py:X", "--input", "8x8"], "minicnn check: argument --input: must be integers"),
    ],
)
def test_arguments_that_cannot_be_parsed_end_in_one_line(argv, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(argv)
    captured = capsys.readouterr()
    assert captured.err.startswith(message)
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_one_line():
    assert one_line(ValueError("first\n  second")) == "first second"
    assert one_line(OSError(28, "No space left on device")) == "cannot read or write: No space left on device"
    assert one_line(MemoryError("1 TiB")) == "out of memory: 1 TiB"
    assert one_line(ValueError()) == "ValueError"


def test_what_the_system_refuses_is_said_in_one_line():
    assert one_line(MemoryError()) == "out of memory"
    assert "raise the limit of processes (ulimit -u)" in one_line(RuntimeError("can't start new thread"))


def test_python_dash_m_is_the_command():
    process = start("summary")
    out, err = process.communicate()
    assert (process.returncode, err) == (0, "")
    assert "61,706" in out


def test_a_closed_pipe_is_not_an_error():
    reading, writing = os.pipe()
    os.close(reading)
    process = start("summary", stdout=writing)
    _, err = process.communicate()
    os.close(writing)
    assert (process.returncode, err) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_output_that_cannot_be_written_is_an_error():
    with open("/dev/full", "w") as full:
        process = start("summary", stdout=full)
        _, err = process.communicate()
    assert (process.returncode, err) == (
        2,
        "minicnn summary: cannot read or write: No space left on device\n",
    )


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_during_training_saves_and_prints_how_to_resume(tmp_path, number, status):
    dataset = write_folder(tmp_path / "toy")
    process = start(
        "train", "--dataset", dataset, "--epochs", 100_000, "--threads", 1, "--out", tmp_path / "run"
    )
    while not (tmp_path / "run" / "history.csv").exists() and process.poll() is None:
        time.sleep(0.01)
    time.sleep(0.2)
    process.send_signal(number)
    out, err = process.communicate(timeout=120)  # a guard against a hang, not a measurement
    assert process.returncode == status
    assert "Traceback" not in err
    assert f"minicnn train --resume {tmp_path / 'run'}" in out
    assert "stopping after this step" in err
    assert f"minicnn evaluate {tmp_path / 'run'}" in out
    assert main(["evaluate", str(tmp_path / "run")]) == 0


CODE = """
import os, signal, sys
from minicnn.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # it may have been ignored by the parent process
signal.signal(signal.SIGALRM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
signal.setitimer(signal.ITIMER_REAL, 0.05)  # reading MNIST takes several times as long
sys.exit(main(["train", "--out", sys.argv[1]]))
"""


def test_ctrl_c_while_reading_the_data_ends_in_one_line(tmp_path):
    command = [sys.executable, "-c", CODE, str(tmp_path / "run")]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "minicnn: interrupted\n")
    assert not (tmp_path / "run").exists()
