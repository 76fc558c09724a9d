"""Pictures decoded by other processes, ahead of the training that needs them.

Each process reads requests from its standard input, the paths of a batch as JSON, and writes the pixels to
its standard output. It ends when its input does, so none outlives the process that trains.
"""

import json
import os
import queue
import struct
import sys
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.datasets.image_reader import ImageReader
from minicnn.datasets.picture_files import quiet
from minicnn.errors import FileFormatError

if TYPE_CHECKING:
    import subprocess

_LENGTH = struct.Struct("<Q")
_PROGRAM = "from minicnn.datasets.decoding import main; main()"


class Decoders:
    """Processes that read pictures; they start with the first request and end with this object.

    Parameters
    ----------
    reader : ImageReader
        What reads a picture.
    count : int
        The number of processes; 0 reads the pictures in this one.
    """

    def __init__(self, reader: ImageReader, count: int) -> None:
        self.reader, self.count = reader, count
        self._idle: queue.SimpleQueue[subprocess.Popen | None] = queue.SimpleQueue()
        self._processes: list[subprocess.Popen] = []
        self._threads: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        self.close = weakref.finalize(self, _close, self._processes)

    def submit(self, paths: Sequence[Path]) -> "Future[np.ndarray]":
        """Return the pictures of a batch, uint8 (N, H, W, C), to come; raises as the reader does."""
        with self._lock:
            if self._threads is None:
                for _ in range(max(self.count, 1)):
                    self._idle.put(self._start() if self.count else None)
                self._threads = ThreadPoolExecutor(max(self.count, 1), "minicnn-pictures")
        return self._threads.submit(self._read, [str(path) for path in paths])

    def _start(self) -> "subprocess.Popen | None":
        """Start a process; None if that is impossible, and then a thread reads the pictures."""
        import subprocess

        paths = os.pathsep.join(os.path.abspath(path) for path in sys.path if isinstance(path, str))
        try:
            process = subprocess.Popen(
                [sys.executable, "-Pc", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,  # Ctrl-C must reach only the process that trains
                env=os.environ | {"PYTHONPATH": paths, "OPENBLAS_NUM_THREADS": "1"},
            )
            _send(process.stdin, json.dumps(self.reader.to_dict()).encode())
        except (OSError, ValueError):
            return None
        self._processes.append(process)
        return process

    def _read(self, paths: list[str]) -> np.ndarray:
        process = self._idle.get()
        try:
            if process is not None:
                try:
                    _send(process.stdin, json.dumps(paths).encode())
                    return self._result(process, len(paths))
                except (OSError, EOFError):  # it was killed: the next requests are answered here
                    process = None
            with quiet():
                return _read_all(self.reader, paths)
        finally:
            self._idle.put(process)

    def _result(self, process: Any, count: int) -> np.ndarray:
        pixels, error = _receive(process.stdout), _receive(process.stdout)
        if error:
            raise FileFormatError(error.decode())
        return np.frombuffer(pixels, np.uint8).reshape(count, *self.reader.size, self.reader.channels)


def main() -> None:
    """Answer requests until there are no more; run by the processes."""
    source, target = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not write among the pixels
    try:
        reader = ImageReader(**json.loads(_receive(source)))
        with quiet():
            while True:
                paths = json.loads(_receive(source))
                try:
                    pixels, error = _read_all(reader, paths).tobytes(), b""
                except Exception as problem:
                    pixels, error = b"", (str(problem) or type(problem).__name__).encode()
                _send(target, pixels)
                _send(target, error)
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        os._exit(0)  # without flushing into a pipe that no process reads


def _read_all(reader: ImageReader, paths: Sequence[str]) -> np.ndarray:
    pictures = np.empty((len(paths), *reader.size, reader.channels), np.uint8)
    for row, path in enumerate(paths):
        pictures[row] = reader(path)
    return pictures


def _send(file: Any, content: bytes) -> None:
    file.write(_LENGTH.pack(len(content)) + content)
    file.flush()


def _receive(file: Any) -> bytes:
    (length,) = _LENGTH.unpack(_exactly(file, _LENGTH.size))
    return _exactly(file, length)


def _exactly(file: Any, count: int) -> bytes:
    content = file.read(count)
    if len(content) < count:
        raise EOFError
    return content


def _close(processes: "list[subprocess.Popen]") -> None:
    for process in processes:
        for pipe in (process.stdin, process.stdout):
            try:
                if pipe is not None:
                    pipe.close()
            except OSError:
                pass  # it was killed
        process.wait()
