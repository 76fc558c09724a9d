"""The weights of the best epoch, in a file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from minicnn.saving.files import check_form
from minicnn.saving.weights import save_weights
from minicnn.training.callbacks.base import Callback, Logs
from minicnn.training.callbacks.best_value import BestValue


class SaveBest(Callback):
    """Save the weights after each epoch in which a quantity is the best so far in this fit.

    Parameters
    ----------
    path : str or path
        A safetensors file, written atomically; read it with `load_weights`.
    monitor : str
        Key of the logs.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto": higher if the name contains "acc".

    Raises
    ------
    FileNotFoundError
        When the fit begins, if the folder of the file does not exist.
    """

    def __init__(self, path: str | os.PathLike[str], monitor: str = "val_loss", mode: str = "auto") -> None:
        self.path, self.best = Path(path), BestValue(monitor, mode)

    def on_train_begin(self) -> None:
        """Reset."""
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"no such folder: {self.path.parent} (for {self.path.name})")
        self.best.reset()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Save the weights if the epoch is the best so far."""
        if self.best.improved(logs):
            save_weights(self.state.model, self.path)

    def state_dict(self) -> dict[str, Any]:
        """Return the best value."""
        return {"best": self.best.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from the best value."""
        check_form(state, {"best": float})
        self.best.value = state["best"]
