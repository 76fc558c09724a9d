"""The history of a fit, in a file that grows by one line per epoch."""

import csv
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from minicnn.saving.files import check_writable, explain_os_errors, open_for_writing
from minicnn.training.callbacks.base import Callback, Logs


class CSVLogger(Callback):
    """Write one line per epoch into a CSV file; a fit starts a new file unless it is resumed.

    Parameters
    ----------
    path : str or path
        The file. Each line is written when its epoch ends.
    """

    checkpointed: ClassVar = {"text": str}

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path, self.text = Path(path), ""

    def check(self, names: Sequence[str] | None) -> None:
        """Raise OSError if the file cannot be written; it does not change."""
        check_writable(self.path)

    def on_train_begin(self) -> None:
        """Empty the file."""
        self._write("", "w")

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Append a line; the first comes after a header."""
        lines = io.StringIO(newline="")
        header, *_ = self.text.partition("\r\n")
        names = ["epoch", *logs] if not header else next(csv.reader([header]))
        new = [name for name in logs if name not in names]
        writer = csv.DictWriter(lines, [*names, *new], restval="nan")
        if not header or new:  # the first epoch, or a fit resumed with other metrics
            writer.writeheader()
            writer.writerows(csv.DictReader(io.StringIO(self.text, newline="")))
        writer.writerow({"epoch": epoch, **logs})
        self._write(lines.getvalue(), "w" if new else "a")

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Write the file as it was at the checkpoint."""
        super().load_state_dict(state)
        self._write(self.text, "w")

    def _write(self, text: str, mode: str) -> None:
        content = text.encode()
        flag = os.O_APPEND if mode == "a" else os.O_TRUNC
        with explain_os_errors(self.path), open_for_writing(self.path, flag) as file:
            file.write(content)
        self.text = text if mode == "w" else self.text + text
