"""The weights of the best epoch, in a file."""

import os
from collections.abc import Sequence
from pathlib import Path

from minicnn.saving.files import check_writable
from minicnn.saving.weights import save_weights
from minicnn.training.callbacks.base import Logs
from minicnn.training.callbacks.monitor import Monitor


class SaveBest(Monitor):
    """Save the weights after each epoch in which a quantity is the best so far in this fit.

    Parameters
    ----------
    path : str or path
        A safetensors file, written atomically; read it with `load_weights`.
    monitor : str
        Key of the logs.
    mode : {"auto", "min", "max"}
        Whether lower or higher is better; "auto" decides by the name of a loss, error or accuracy.

    Raises
    ------
    OSError
        When the fit begins, if the file cannot be written, for example because its folder does not exist.
    """

    def __init__(self, path: str | os.PathLike[str], monitor: str = "val_loss", mode: str = "auto") -> None:
        super().__init__(monitor, mode)
        self.path = Path(path)

    def check(self, names: Sequence[str] | None) -> None:
        """Raise OSError if the file cannot be written."""
        super().check(names)
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"no such folder: {self.path.parent} (for {self.path.name})")
        check_writable(self.path)

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Save the weights if the epoch is the best so far."""
        if self.improved(logs):
            save_weights(self.state.model, self.path)
