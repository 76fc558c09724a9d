"""The progress bar of a fit."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Self

from minicnn.saving.files import check_schema
from minicnn.training.callbacks import Callback, Logs

if TYPE_CHECKING:
    from tqdm import tqdm


class ProgressBar(Callback):
    """A bar an epoch on stderr, with loss, metrics and images per second; none where that is no terminal.

    `size` is that of an epoch in these units, None if it is not known, and `batch_size` that of a step.
    """

    def __init__(self, epochs: int, size: int | None, batch_size: int, unit: str, shown: bool = True) -> None:
        self.epochs, self.size, self.batch_size, self.unit = epochs, size, batch_size, unit
        self.shown = shown and on_terminal()
        self.bar: tqdm | None = None

    def on_train_begin(self) -> None:
        """Remember which epoch is the first."""
        self.first = self.trainer.epoch

    def state_dict(self) -> dict[str, Any]:
        """Return the first epoch."""
        return {"first": self.first}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Count from the first epoch of the fit that goes on."""
        check_schema(state, {"first": int})
        self.first = state["first"]

    def on_epoch_begin(self, epoch: int) -> None:
        """Begin a new bar."""
        if not self.shown:
            return
        title = f"epoch {epoch - self.first + 1}/{self.epochs}"
        from tqdm import tqdm  # here, since it takes a fifth of the time that `import minicnn` may take

        share = "{n_fmt}{unit}" if self.size is None else "{percentage:3.0f}% |{bar}|"
        layout = f"{{desc}} {share} {{rate_fmt}}{{postfix}}"  # all of it fits into 80 columns
        self.bar = tqdm(total=self.size, desc=title, unit=self.unit, bar_format=layout, dynamic_ncols=True)

    def on_batch_begin(self, step: int) -> None:
        """Start where an earlier process stopped; that part does not count for the speed."""
        if self.bar is not None and not self.bar.n:
            self.bar.initial = self.bar.n = step * self.batch_size

    def on_batch_end(self, step: int, logs: Logs) -> None:
        """Move on."""
        if self.bar is not None:
            self.bar.set_postfix_str(_text(logs), refresh=False)
            left = self.batch_size if self.size is None else self.size - self.bar.n
            self.bar.update(min(self.batch_size, left))

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Show the epoch's final numbers and leave the bar on the screen."""
        if self.bar is not None:
            self.bar.bar_format = "{desc}{postfix}, {rate_fmt}"  # in place of the bar there is room for them
            self.bar.set_postfix_str(_text(logs))
            self.bar.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self.bar is not None:
            self.bar.close()


def on_terminal() -> bool:
    """Return whether somebody looks at stderr; it may also be closed."""
    return sys.stderr is not None and sys.stderr.isatty()


def _text(logs: Logs) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in logs.items())
