"""What a fit shows: in a pipe, in a terminal of some width, in a notebook."""

import os
import re
import subprocess
import sys

import pytest

from minicnn.training.progress import Progress, _fitting, _folded, numbers_text

FIT = """
import numpy as np
from minicnn import SGD, Dense, Trainer
x, y = np.zeros((64, 3), np.float32), np.arange(64) % 2
trainer = Trainer(Dense(2).build((3,), rng=0), SGD(), threads=1)
for _ in range(2):
    history = trainer.fit(x, y, 2, 8, validation_split=0.25, verbose=VERBOSE)
"""
LINE = r"epoch (\d)/2: loss 0\.693\d \(val 0\.693\d\), accuracy 0\.\d{4} \(val 0\.\d{4}\), 0\.\d s"


LONG = pytest.mark.campaign


@pytest.mark.parametrize("verbose", [pytest.param(0, marks=LONG), 1, pytest.param(2, marks=LONG)])
def test_in_a_pipe_there_is_a_line_for_each_epoch(verbose):
    code = FIT.replace("VERBOSE", str(verbose))
    job = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = job.stderr.splitlines()
    numbers = [re.fullmatch(rf"{LINE}(, 0:01 left)?", line)[1] for line in lines]
    assert numbers == (["1", "2"] * 2 if verbose else [])
    assert job.stdout == ""


@pytest.mark.parametrize("columns", [50, pytest.param(80, marks=LONG)])
def test_in_a_terminal_there_is_a_bar_and_then_the_line(columns):
    pty = pytest.importorskip("pty")
    fcntl, struct, termios = (pytest.importorskip(name) for name in ("fcntl", "struct", "termios"))
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover
        os.execv(sys.executable, [sys.executable, "-c", "input()\n" + FIT.replace("VERBOSE", "1")])
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    os.write(terminal, b"\n")
    output = b""
    try:
        while part := os.read(terminal, 1 << 16):
            output += part
    except OSError:
        pass  # the end, on Linux
    os.waitpid(child, 0)
    lines = [line for line in re.split(r"[\r\n]+|\x1b\[A", output.decode()) if line.strip()]
    assert max(map(len, lines)) <= columns
    bars = [line for line in lines if "|" in line]
    assert len([line for line in bars if "100%" in line and "validating" in line]) == 4
    lines = re.sub(r"\n  (?=\w)", " ", "\n".join(lines)).split("\n")  # what was folded
    assert [found[1] for line in lines if (found := re.fullmatch(LINE, line))] == ["1", "2"] * 2


@LONG
def test_a_notebook_keeps_the_last_line_of_each_epoch():
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    cell = nbformat.v4.new_code_cell(FIT.replace("VERBOSE", "1"))
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbclient.NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    texts = [output.data["text/plain"] for output in cell.outputs if output.output_type == "display_data"]
    assert [re.fullmatch(LINE, text)[1] for text in texts] == ["1", "2"] * 2


def test_numbers_have_four_digits_and_validation_beside_training():
    logs = {"loss": 1.23456e-5, "f1": 1.0, "val_loss": 123456.0, "val_f1": float("nan"), "extra": 0}
    assert numbers_text(logs) == "loss 1.23e-05 (val 1.23e+05), f1 1.000 (val nan), extra 0.000"


def test_texts_beside_a_bar_are_as_many_as_its_line_holds():
    class Bar:
        n, total, unit, desc, format_dict = 5, 10, " images", "epoch 10/15", {"ncols": 50}

    texts = ["0:23 left", "loss 0.124", "accuracy 0.961", "5,010 images/s"]
    assert _fitting(Bar(), texts) == "0:23 left, loss 0.124"
    Bar.format_dict = {"ncols": 19 + 4 + 11}  # 'epoch 10/15 100% ||', cells of the bar, ', 0:23 left'
    assert _fitting(Bar(), texts) == "0:23 left"
    Bar.format_dict = {"ncols": 19 + 4 + 10}
    assert _fitting(Bar(), texts) == ""
    Bar.format_dict, Bar.total = {"ncols": None}, None  # the terminal does not say; batches of unknown number
    assert _fitting(Bar(), texts) == ", ".join(texts)


def test_a_line_is_folded_between_a_number_and_the_next_name():
    line = "epoch 1/2: loss 0.1972 (val 0.2099), accuracy 0.9381 (val 0.9433), 1.6 s"
    assert _folded(line, 80) == line
    assert _folded(line, 50).split("\n") == [
        "epoch 1/2: loss 0.1972 (val 0.2099),",
        "  accuracy 0.9381 (val 0.9433), 1.6 s",
    ]
    assert _folded(line, 3).replace("\n  ", " ") == line


def test_verbose_is_checked():
    with pytest.raises(ValueError, match="`verbose` must be 0, 1 or 2, got 3"):
        Progress(1, 8, 4, " images", verbose=3)
