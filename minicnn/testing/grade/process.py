"""The process of a learner's file: start it, call functions in it, stop it if it hangs."""

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

from minicnn.testing.grade.isolation import DISK, Isolation
from minicnn.testing.grade.stopwatch import Stopwatch
from minicnn.testing.grade.wire import NoArrayError, Reply, read_reply, request

_POLL = 0.1  # seconds between two looks at the disk, where its use has no other limit
STARTUP_SECONDS = 60.0  # that starting Python may take on a busy machine

_SETTINGS = {  # few threads, since their number is limited; no GPU, whose driver needs much address space
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "-1",
}


class EndedError(Exception):
    """The process ended, hung, or sent something else than arrays; the text continues "the file ..."."""


class Solution:
    """A learner's file in a process of its own.

    Parameters
    ----------
    scratch : Path
        A folder whose subfolder "folder" has the file.
    file : str
        Its name.
    isolation : Isolation
        How the process is confined.
    timeout : float
        Time limit in seconds for importing the file, and for all calls until `renew`; without those in
        which the process waits for a core.
    libraries : tuple of Path
        What the process runs beside `child.py`.
    """

    def __init__(
        self,
        scratch: Path,
        file: str,
        isolation: Isolation,
        timeout: float,
        libraries: tuple[Path, ...] = (),
    ) -> None:
        self.timeout = timeout
        self.replies: queue.SimpleQueue[Reply | BaseException] = queue.SimpleQueue()
        self.requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.process = subprocess.Popen(
            isolation.command(scratch, Path(__file__).with_name("child.py"), *libraries),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=scratch,
            start_new_session=True,
            env=_environment(),
        )
        self.file = file
        self.watched = None if isolation.namespaces else scratch  # which have a disk of limited size
        self.ended = False
        self.confined: list[int] = []  # process ids; empty where the process above is the learner's
        self.stopwatch = Stopwatch(self._processes)
        threading.Thread(target=self._exchange, daemon=True).start()
        try:
            self._reply(STARTUP_SECONDS, "")
        except EndedError:
            self.close()
            raise EndedError("could not be run: its process did not start; it may need more memory") from None
        self.confined = self._children()

    def load(self, names: tuple[str, ...]) -> Reply:
        """Import the file; the results are "name(parameters)" for each function that it defines."""
        self.renew()
        return self._ask(json.dumps({"file": self.file, "names": names}).encode() + b"\n")

    def call(self, name: str, named: dict[str, Any]) -> Reply:
        """Call a function."""
        return self._ask(request(name, named))

    def renew(self) -> None:
        """Begin the time limit again."""
        self.stopwatch.restart()

    def close(self) -> None:
        """Stop the process, and those that it started."""
        self.requests.put(None)
        for child in self.confined if self.process.poll() is None else ():
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)  # it may have left the process group
        with contextlib.suppress(OSError):
            os.killpg(self.process.pid, signal.SIGKILL) if hasattr(os, "killpg") else self.process.kill()
        self.process.wait()

    def _ask(self, data: bytes) -> Reply:
        self.requests.put(data)
        return self._reply(self.timeout, f"did not finish within {self.timeout:g} s")

    def _reply(self, seconds: float, late: str) -> Reply:
        self.ended = True  # unless a reply comes
        reply: Reply | BaseException | None = None
        poll = _POLL if self.watched else seconds
        while reply is None:
            try:
                reply = self.replies.get(timeout=min(max(seconds - self.stopwatch.elapsed(), 0.001), poll))
            except queue.Empty:
                if self.watched and _disk_usage(self.watched) > DISK:
                    raise EndedError(f"wrote more than {DISK >> 20} MB of files") from None
                if self.stopwatch.elapsed() >= seconds:
                    raise EndedError(late) from None
        if isinstance(reply, Reply):
            self.ended = False
            return reply
        if isinstance(reply, NoArrayError):
            raise EndedError("wrote into the channel of its results")
        with contextlib.suppress(subprocess.TimeoutExpired):  # it closed the channel, and goes on
            status = self.process.wait(5)
            killed = ": it was killed; if by the system, for lack of memory, grade it again" * (status == -9)
            raise EndedError(f"ended the process (status {status}){killed}")
        raise EndedError("closed the channel of its results")

    def _processes(self) -> list[int]:
        return [self.process.pid, *(self.confined or self._children())]

    def _children(self) -> list[int]:
        with contextlib.suppress(OSError):  # another system, or it has ended
            children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
            return [int(child) for child in children.split()]
        return []

    def _exchange(self) -> None:
        """Write requests and read replies; a thread, since both block if the process hangs."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.process.stdin as requests, self.process.stdout as replies:
            try:
                self.replies.put(read_reply(replies))
                while (data := self.requests.get()) is not None:
                    requests.write(data)
                    requests.flush()
                    self.replies.put(read_reply(replies))
            except (OSError, EOFError, ValueError) as error:
                self.replies.put(error)
                with contextlib.suppress(OSError):
                    requests.close()


def _disk_usage(folder: Path) -> int:
    """Return the bytes of all files in a folder, which may change meanwhile."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_size
    return total


def _environment() -> dict[str, str]:
    """Return what a process needs to start; secrets are often kept in the rest of the environment."""
    kept = {"PATH", "LANG", "LC_ALL", "SYSTEMROOT", "LD_LIBRARY_PATH"}
    return {key: value for key, value in os.environ.items() if key in kept} | _SETTINGS
