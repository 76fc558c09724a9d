"""The progress of a fit: a bar in a terminal or a notebook, lines elsewhere."""

from __future__ import annotations

import contextlib
import math
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any, Self

from minicnn.training.callbacks.base import Callback, Logs

if TYPE_CHECKING:
    from tqdm import tqdm

_NOTEBOOK_COLUMNS = 90
_FEWEST_CELLS = 4  # of the bar itself; texts that leave it fewer are not shown
_DIGITS = 3  # of numbers beside the bar


class Progress(Callback):
    """A bar for each epoch on stderr with speed, time left, loss and metrics; or a line for each.

    Parameters
    ----------
    epochs : int
        Of the fit.
    size : int or None
        The length of an epoch in these units; None if it is not known.
    batch_size : int
        That of a step.
    unit : str
        " images".
    verbose : {0, 1, 2}
        As for `Trainer.fit`.
    validates : bool
        Whether an epoch ends with a validation, for which the full bar waits.
    """

    def __init__(
        self,
        epochs: int,
        size: int | None,
        batch_size: int,
        unit: str,
        verbose: int = 1,
        validates: bool = False,
    ) -> None:
        if verbose not in (0, 1, 2):
            raise ValueError(f"`verbose` must be 0, 1 or 2, got {verbose!r}")
        self.epochs, self.size, self.batch_size, self.unit = epochs, size, batch_size, unit
        self.validates = validates
        self.shows_bar = verbose == 1 and (on_terminal() or in_notebook())
        self.prints_lines = bool(verbose) and not self.shows_bar and sys.stderr is not None
        self.bar: tqdm | None = None
        self.notebook: NotebookLine | None = None
        self.start = self.epoch_start = time.perf_counter()
        self.first: int | None = None  # the epoch in which this process began

    def on_epoch_begin(self, epoch: int) -> None:
        """Show a new bar."""
        self.epoch_start = time.perf_counter()
        if self.first is None:
            self.first, self.start = epoch, self.epoch_start
        if not self.shows_bar:
            return
        from tqdm import tqdm  # imported here, since it would add a fifth to the time of `import minicnn`

        share = "{n_fmt}{unit}" if self.size is None else "{percentage:3.0f}% |{bar}|"
        layout = f"{{desc}} {share}{{postfix}}"
        target: dict[str, Any] = {"dynamic_ncols": True}
        if in_notebook():
            self.notebook = NotebookLine()
            target = {"file": self.notebook, "ncols": _NOTEBOOK_COLUMNS}
        self.bar = tqdm(total=self.size, desc=self._title(epoch), unit=self.unit, bar_format=layout, **target)

    def on_batch_begin(self, step: int) -> None:
        """Start where an earlier process stopped; that part does not count towards the speed."""
        if self.bar is not None and not self.bar.n:
            self.bar.initial = self.bar.n = step * self.batch_size

    def on_batch_end(self, step: int, logs: Logs) -> None:
        """Advance the bar."""
        bar = self.bar
        if bar is not None:
            left = self.batch_size if self.size is None else self.size - bar.n
            done = min(self.batch_size, left)
            part = 0.0 if self.size is None else (bar.n + done) / self.size
            rate = bar.format_dict["rate"]  # of the last steps; None or 0 before it is known
            waits = self.validates and part == 1
            texts = ["validating" if waits else ""]
            texts += [self._left(self.state.epoch + part), *number_texts(logs, _DIGITS)]
            texts.append(f"{_three_digits(rate)}{self.unit}/s" if rate else "")
            bar.set_postfix_str(_fitting(bar, list(filter(None, texts))), refresh=False)
            bar.update(done)
            if waits:  # tqdm shows some of the updates only, but this one stays
                bar.refresh()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Leave the numbers of the epoch on the screen, in place of the bar, or print them."""
        texts = [numbers_text(logs), f"{time.perf_counter() - self.epoch_start:.1f} s"]
        line = f"{self._title(epoch)}: {', '.join(texts)}"
        if self.bar is not None:
            self.bar.leave = False
            self.bar.close()
        if self.notebook is not None:
            self.notebook.write(line)
        elif self.bar is not None or self.prints_lines:
            left = self._left(epoch + 1) if self.prints_lines else ""
            line = ", ".join(filter(None, [line, left]))
            with contextlib.suppress(OSError):  # a log on a full disk must not end the training
                text = line if self.bar is None else _folded(line, _columns(self.bar))
                print(text, file=sys.stderr, flush=True)

    def _title(self, epoch: int) -> str:
        return f"epoch {epoch - self.state.first_epoch + 1}/{self.epochs}"

    def _left(self, position: float) -> str:
        """Return how long the fit will still take, at a position in epochs; empty at its end."""
        done = position - (self.first or 0)
        left = self.state.first_epoch + self.epochs - position
        if done <= 0 or left <= 0:
            return ""
        seconds = math.ceil((time.perf_counter() - self.start) / done * left)
        minutes, hours = seconds // 60, seconds // 3600
        clock = f"{hours}:{minutes % 60:02}" if hours else str(minutes)
        return f"{clock}:{seconds % 60:02} left"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()


class NotebookLine:
    """A file for a bar in a notebook: what is written replaces what was, also in the saved notebook."""

    def __init__(self) -> None:
        from IPython.display import display  # in a notebook it is there

        self.handle = display({"text/plain": ""}, raw=True, display_id=True)

    def write(self, text: str) -> None:
        """Show a new text."""
        if line := text.strip():
            self.handle.update({"text/plain": line}, raw=True)

    def flush(self) -> None:
        """Do nothing: each text is shown at once."""


def on_terminal() -> bool:
    """Return whether stderr is a terminal; it may also be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return type(shell).__name__ == "ZMQInteractiveShell"


def numbers_text(logs: Logs) -> str:
    """Return the logs for people: four digits, and validation beside training.

    >>> numbers_text({"loss": 0.123456, "accuracy": 1.0, "val_loss": 1234.5})
    'loss 0.1235 (val 1234), accuracy 1.000'
    """
    return ", ".join(number_texts(logs))


def number_texts(logs: Logs, digits: int = 4) -> list[str]:
    """Return the text of each log, see `numbers_text`."""
    texts = []
    for name, value in logs.items():
        if name.startswith("val_") and name.removeprefix("val_") in logs:
            continue
        texts.append(f"{name} {_number(value, digits)}")
        if (beside := logs.get(f"val_{name}")) is not None:
            texts[-1] += f" (val {_number(beside, digits)})"
    return texts


def _number(value: float, digits: int) -> str:
    size = abs(value)
    if 0 < size < 1e-3 or 1e5 <= size < float("inf"):
        return f"{value:.2e}"
    return f"{value:#.{digits}g}".rstrip(".")


def _three_digits(value: float) -> str:
    """Return a positive number rounded to three digits, without an exponent.

    >>> _three_digits(5011.17), _three_digits(0.51234), _three_digits(99.97)
    ('5,010', '0.512', '100.0')
    """
    decimals = 2 - math.floor(math.log10(value))
    return f"{round(value, decimals):,.{max(decimals, 0)}f}"


def _fitting(bar: tqdm, texts: list[str]) -> str:
    """Return as many of the texts, from the first on, as fit beside a bar that can still be seen."""
    counter = f"{bar.n}{bar.unit}" if bar.total is None else f"100% |{' ' * _FEWEST_CELLS}|"
    room = _columns(bar) - len(f"{bar.desc} {counter}")
    kept = []
    for text in texts:
        room -= len(f", {text}")
        if room < 0:
            break
        kept.append(text)
    return ", ".join(kept)


def _columns(bar: tqdm) -> int:
    """Return the width of the terminal, or of the line in a notebook."""
    return bar.format_dict["ncols"] or _NOTEBOOK_COLUMNS  # None where the terminal does not say


def _folded(line: str, columns: int) -> str:
    """Return a line in as many as a terminal needs for it; a name and its value stay together."""
    parts = [part.replace(" ", "\N{NO-BREAK SPACE}") for part in line.split(", ")]
    folded = textwrap.fill(", ".join(parts), columns, subsequent_indent="  ", break_long_words=False)
    return folded.replace("\N{NO-BREAK SPACE}", " ")
