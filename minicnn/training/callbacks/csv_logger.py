"""The history of a fit in a CSV file, which grows by one line per epoch."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from minicnn.saving.files import write_atomically
from minicnn.training.callbacks.base import Callback, Logs


class CSVLogger(Callback):
    """Write one line per epoch into a CSV file; a fit starts a new file unless it is resumed.

    Parameters
    ----------
    path : str or path
        The file, replaced as a whole when an epoch ends. Values that are unknown in some epochs, as when a
        fit is resumed with other metrics, are "nan".
    """

    saved: ClassVar = {"rows": [{str: float}]}

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.rows: list[dict[str, float]] = []

    def on_train_begin(self) -> None:
        """Empty the file."""
        self.rows = []
        self._write()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Add a line; the first comes after a header."""
        self.rows.append({"epoch": epoch, **logs})
        self._write()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Write the file as it was at the checkpoint."""
        super().load_state_dict(state)
        self._write()

    def _write(self) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, dict.fromkeys(name for row in self.rows for name in row), restval="nan")
        if self.rows:
            writer.writeheader()
            writer.writerows(self.rows)
        write_atomically(self.path, text.getvalue().encode())
