"""Workers: other processes that compute shards, since of one process only one thread at a time runs Python.

A worker is an interpreter of its own, which is given the model once. Through a pipe it is asked for a shard,
and answers with loss and predictions; weights, examples and gradients lie in memory that both processes see.

Nothing depends on a worker. It is asked only when it is there; what it fails at, or ends at, is computed by
the process that asked, which gives the same numbers, or raises the exception.

Here is what both processes do and say; the memory between them is in `minicnn.parallel.shared_memory`, what
a worker is sent to begin with in `minicnn.parallel.pickling`.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import sys
import time
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.cores import blas_threads
from minicnn.parallel.shard import ShardResult, compute_shard
from minicnn.parallel.shared_memory import share, shared_file
from minicnn.parameter import Parameter

if TYPE_CHECKING:
    import subprocess
    from multiprocessing.connection import Connection

IDLE_TIMEOUT = (
    60.0  # seconds after which a worker that is not asked ends; it is started again when it is needed
)
SPIN_SECONDS = 2e-3  # seconds of looking again and again for a message: who sleeps is woken late
_GONE = (OSError, EOFError)  # what a pipe raises when the process at its other end has ended
_FILE = os.path.abspath(__file__)
# For a worker: where this package was found, now that paths are what they were; and that it is one.
_ENVIRONMENT = {
    "PYTHONPATH": os.pathsep.join(os.path.abspath(path) for path in sys.path if isinstance(path, str)),
    "MINICNN_WORKER": "1",
    **dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
}


class Worker:
    """A process that computes the shards of one replica, whose gradients they then are.

    Parameters
    ----------
    model : Layer
        The replica. Nothing in it changes but the memory in which its gradients lie.
    parameters : sequence of Parameter
        All of it.
    message : bytes
        The model and the loss, see `packed`.
    capacity : int
        Bytes that the arrays of a shard take, for which there is to be capacity in shared memory.

    Raises
    ------
    OSError, ValueError
        If there is too little memory, or no other process can be started.
    """

    def __init__(self, model: Layer, parameters: Sequence[Parameter], message: bytes, capacity: int) -> None:
        # Not when the package is imported, which is to take little more time than `import numpy`.
        import subprocess
        import tempfile
        from multiprocessing.connection import Pipe

        self.parameters, self.streams = parameters, model.generators()
        with shared_file(parameters, capacity) as memory:
            self.sent, self.arena = share(parameters, memory, values=False)
            self.pipe, theirs = Pipe()
            with theirs, tempfile.TemporaryFile() as packed_model:
                packed_model.write(message)
                packed_model.seek(0)
                descriptors = theirs.fileno(), memory
                self.process = subprocess.Popen(
                    [sys.executable, "-Pc", f"from minicnn.parallel.workers import main; main{descriptors}"],
                    stdin=packed_model,
                    stdout=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    process_group=0,  # Ctrl-C is for the process that asks
                    env=os.environ | _ENVIRONMENT,
                )
        self.owner = os.getpid()
        # Called by hand, or when this object is garbage, or else at the exit of the interpreter.
        self.close = weakref.finalize(self, _end, self.pipe, self.process, self.owner)
        self.ready, self.closed, self.pending = False, False, False

    def __reduce__(self) -> Any:
        raise TypeError("a worker cannot be copied: two would hold the same pipe")

    def submit(self, x: np.ndarray, y: np.ndarray, batch: int) -> bool:
        """Send a shard; return whether it will be computed. It is not while the worker still starts."""
        if any(
            array.dtype.kind in "OV" for array in (x, y)
        ):  # objects are others', and bytes say not of what
            return False
        try:
            if os.getpid() != self.owner:
                raise BrokenPipeError("it belongs to the process of which this one is a fork")
            if self.pending:
                raise BrokenPipeError("somebody left without the answer, when an exception came")
            if not self.ready and self.pipe.poll():
                self.ready = self.pipe.recv() == _FILE
                if not self.ready:
                    raise BrokenPipeError("it found another minicnn")
            if self.ready:
                self.pending = True
                for parameter, sent in zip(self.parameters, self.sent, strict=True):
                    sent[...] = parameter.value
                states = [stream.bit_generator.state for stream in self.streams]
                self.arena.clear()
                shard = self.arena.write(x), self.arena.write(y), batch, states
                self.pipe.send_bytes(pickle.dumps(shard))
        except _GONE:
            self.detach()
        return self.ready and not self.closed

    def result(self) -> ShardResult | None:
        """Return what was asked for; None where it must be computed here, to have it or its exception."""
        try:
            while not _arrives(self.pipe, 1.0):
                # Others may hold the pipe's end, so that it does not tell of a death.
                if self.process.poll() is not None and not self.pipe.poll():
                    raise EOFError
            answer = self.pipe.recv()
        except _GONE:
            self.detach()
            return None
        self.pending = False
        if answer is None:
            return None
        loss, predictions, states = answer
        for stream, state in zip(self.streams, states, strict=True):
            stream.bit_generator.state = state
        return loss, self.arena.read(predictions)

    def detach(self) -> None:
        """Do without it from now on."""
        self.closed = True
        self.close()
        for parameter in self.parameters:
            parameter.rebind(None, np.zeros_like(parameter.value))


def main(pipe_descriptor: int, memory: int, idle: float = IDLE_TIMEOUT) -> None:
    """Be a worker: compute what is asked for, until nobody asks for `idle` seconds, or ever again."""
    from multiprocessing.connection import Connection

    pipe = Connection(pipe_descriptor)
    with contextlib.suppress(*_GONE):
        model, f = pickle.load(sys.stdin.buffer)
        parameters, streams = model.parameters(), model.generators()
        _, arena = share(parameters, memory, values=True)
        with blas_threads(1):
            pipe.send(_FILE)
            while _arrives(pipe, idle):
                x, y, batch, states = pipe.recv()
                arena.clear()
                x, y = arena.read(x), arena.read(y)
                for stream, state in zip(streams, states, strict=True):
                    stream.bit_generator.state = state
                try:
                    loss, predictions = compute_shard(model, parameters, f, x, y, batch, split=True)
                except Exception:
                    pipe.send(None)
                else:
                    states = [stream.bit_generator.state for stream in streams]
                    pipe.send_bytes(pickle.dumps((loss, arena.write(predictions), states)))


def _arrives(pipe: Connection, seconds: float) -> bool:
    """Return whether something comes within so many seconds; for some time without sleeping."""
    poll = select.poll()  # ten times as quick as the pipe's own `poll`
    poll.register(pipe, select.POLLIN)
    until = time.perf_counter() + SPIN_SECONDS
    while time.perf_counter() < until:
        if poll.poll(0):
            return True
        _give_way()
    return bool(poll.poll(1000 * seconds))


def _give_way() -> None:
    """Let another process have the core, if one waits for it."""
    if hasattr(os, "sched_yield"):
        os.sched_yield()


def _end(pipe: Connection, process: subprocess.Popen, owner: int) -> None:
    with contextlib.suppress(OSError):
        pipe.close()
    if os.getpid() == owner:  # not in a fork of it
        process.kill()
        process.wait()
