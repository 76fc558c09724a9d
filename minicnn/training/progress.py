"""The progress bar of a fit."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Self

from minicnn.training.callbacks.base import Callback, Logs

if TYPE_CHECKING:
    from tqdm import tqdm


class ProgressBar(Callback):
    """One bar per epoch on stderr, with loss, metrics and images per second, if that is a terminal.

    `size` is the length of an epoch in these units, None if it is not known; `batch_size` that of a step.
    """

    def __init__(self, epochs: int, size: int | None, batch_size: int, unit: str, shown: bool = True) -> None:
        self.epochs, self.size, self.batch_size, self.unit = epochs, size, batch_size, unit
        self.shown = shown and on_terminal()
        self.bar: tqdm | None = None

    def on_epoch_begin(self, epoch: int) -> None:
        """Show a new bar."""
        if not self.shown:
            return
        title = f"epoch {epoch - self.state.first_epoch + 1}/{self.epochs}"
        from tqdm import tqdm  # imported here, since it would add a fifth to the time of `import minicnn`

        share = "{n_fmt}{unit}" if self.size is None else "{percentage:3.0f}% |{bar}|"
        layout = f"{{desc}} {share} {{rate_fmt}}{{postfix}}"  # fits into 80 columns
        self.bar = tqdm(total=self.size, desc=title, unit=self.unit, bar_format=layout, dynamic_ncols=True)

    def on_batch_begin(self, step: int) -> None:
        """Start where an earlier process stopped; that part does not count towards the speed."""
        if self.bar is not None and not self.bar.n:
            self.bar.initial = self.bar.n = step * self.batch_size

    def on_batch_end(self, step: int, logs: Logs) -> None:
        """Advance the bar."""
        if self.bar is not None:
            self.bar.set_postfix_str(_text(logs), refresh=False)
            left = self.batch_size if self.size is None else self.size - self.bar.n
            self.bar.update(min(self.batch_size, left))

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Show the final numbers of the epoch and leave them on the screen."""
        if self.bar is not None:
            # The numbers take the place of the bar; with those of a validation, 80 columns are full.
            self.bar.bar_format = "{desc}{postfix}, {rate_fmt}" if len(logs) <= 2 else "{desc}{postfix}"
            self.bar.set_postfix_str(_text(logs))
            self.bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()


def on_terminal() -> bool:
    """Return whether stderr is a terminal; it may also be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def _text(logs: Logs) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in logs.items())
