"""Workers: processes that compute shards, since only one thread of a process runs Python code at a time.

A worker is a Python interpreter that gets the model when it starts, and again when its structure has changed.
Through a pipe it receives a shard in each step and sends back loss and predictions; weights, examples and
gradients are in shared memory.

Training does not depend on workers. A shard is sent to a worker only when that has started; if the worker
fails or dies, this process computes the shard itself, with the same numbers or the same exception.

This is the side of the process that trains. The worker's side is `minicnn.parallel.worker_main`.
"""

from __future__ import annotations

import math
import os
import pickle
import select
import time
import weakref
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.pickling import PickledModel
from minicnn.parallel.shard import ONE_PLACE, Place, ShardResult
from minicnn.parallel.shared_memory import attach, shared_file, shared_size
from minicnn.parallel.sums import spins
from minicnn.parallel.worker_process import close, start
from minicnn.parameter import Parameter

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

DISCONNECTED = (OSError, EOFError)  # raised by a pipe whose other end was closed
PACKAGE_FILE = os.path.abspath(__file__)  # sent by a worker, to show that it has imported this same package


class Worker:
    """A process that computes the shards of one replica.

    Parameters
    ----------
    model : Layer
        The replica. Its gradients move to shared memory, and its generators follow the worker's.
    parameters : sequence of Parameter
        All parameters of the replica.
    pickled : PickledModel
        Model and loss.
    capacity : int
        Bytes of shared memory for the arrays of a shard.
    sums : int
        The descriptor of the memory for sums over the batch.

    Attributes
    ----------
    ready : bool
        Whether the worker has started.
    closed : bool
        Whether the worker has ended, and this object is of no further use.
    pending : bool
        Whether a shard was submitted whose result was not fetched yet.
    verified : bool
        Whether its results need no comparison with those of this process.
    pickled : PickledModel or None
        The model and loss that it has; None if they may be out of date when it has started.
    error : str
        The exception that the worker raised last.
    checksum : int
        See `ShardSums`; of the last result.

    Raises
    ------
    OSError, ValueError
        If there is too little memory, or the process cannot be started.
    """

    def __init__(
        self,
        model: Layer,
        parameters: Sequence[Parameter],
        pickled: PickledModel,
        capacity: int,
        sums: int,
    ) -> None:
        self.parameters, self.generators = parameters, model.generators()
        with shared_file(shared_size(parameters, capacity)) as file:
            memory = file.fileno()
            self.shared_values, self.arena = attach(parameters, memory, values=False)
            self.pipe, self.process = start(pickled, memory, sums)
        self.owner = os.getpid()
        # Runs when called, when this object is garbage, or when the interpreter exits.
        self.close = weakref.finalize(self, close, self.pipe, self.process, self.owner)
        self.ready, self.closed, self.pending = False, False, False
        self.verified = pickled.is_builtin
        self.pickled: PickledModel | None = pickled if self.verified else None
        self.error, self.checksum = "", 0

    def __reduce__(self) -> Any:
        raise TypeError("a worker cannot be copied: both copies would use the same pipe")

    def has_started(self) -> bool:
        """Return whether the worker has loaded model and loss, and is ready for shards."""
        try:
            if self.pending or os.getpid() != self.owner:
                raise BrokenPipeError("the last result was not fetched, or this process is a fork")
            if not self.ready and not self.closed and self.pipe.poll():
                message = self.pipe.recv()
                self.ready = message == PACKAGE_FILE
                if not self.ready:
                    other = "it has imported another package called minicnn"
                    self.error = message.text if isinstance(message, Failure) else other
                    raise BrokenPipeError(self.error)
        except DISCONNECTED:
            self.detach()
        return self.ready and not self.closed

    def load(self, model: bytes | None, loss: bytes | None) -> None:
        """Replace the model or the loss of a worker that has started."""
        try:
            self.pipe.send_bytes(pickle.dumps(NewModel(model, loss)))
        except DISCONNECTED:
            self.detach()

    def submit(
        self, x: np.ndarray, y: np.ndarray, batch: int, split: bool = True, place: Place = ONE_PLACE
    ) -> bool:
        """Send a shard; return False if the worker is still starting."""
        if x.dtype.kind in "OV" or y.dtype.kind in "OV":  # their bytes do not say what is in them
            return False
        try:
            if not self.has_started():
                return False
            self.pending, self.error = True, ""
            for parameter, shared_value in zip(self.parameters, self.shared_values, strict=True):
                shared_value[...] = parameter.value
            states = [generator.bit_generator.state for generator in self.generators]
            self.arena.clear()
            shard = self.arena.write(x), self.arena.write(y), batch, split, states, place
            self.pipe.send_bytes(pickle.dumps(shard))
        except DISCONNECTED:
            self.detach()
        return not self.closed

    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return not self.closed and self.process.poll() is None

    def result(self, seconds: float = math.inf) -> ShardResult | None:
        """Wait for the result; None if the worker failed, died, or did not send it in time."""
        deadline = time.perf_counter() + seconds
        try:
            while not wait_for_message(self.pipe, min(1.0, seconds)):
                # If another process holds the pipe's other end open, the pipe does not report a death.
                dead = not self.is_alive() and not self.pipe.poll()
                if dead or time.perf_counter() > deadline:
                    raise EOFError
            result = self.pipe.recv()
        except DISCONNECTED:
            self.detach()
            return None
        self.pending = False
        if isinstance(result, Failure):
            self.error = result.text
            return None
        loss, predictions, states, self.checksum = result
        for generator, state in zip(self.generators, states, strict=True):
            generator.bit_generator.state = state
        for parameter, shared_value in zip(self.parameters, self.shared_values, strict=True):
            if parameter.is_statistic:
                parameter.value = shared_value
        return loss, self.arena.read(predictions)

    def detach(self) -> None:
        """End the process, and move the gradients out of shared memory."""
        self.closed = True
        self.close()
        for parameter in self.parameters:
            parameter.rebind(None, parameter.grad.copy())


class NewModel(NamedTuple):
    """A message to a worker: pickles of what it computes from now on; None where that has not changed."""

    model: bytes | None
    loss: bytes | None


class Failure(NamedTuple):
    """A message from a worker: the exception that it raised."""

    text: str


def wait_for_message(pipe: Connection, seconds: float) -> bool:
    """Return whether a message arrives within `seconds`, polling without sleep at first."""
    poll = select.poll()  # ten times as fast as the pipe's own `poll`
    poll.register(pipe, select.POLLIN)
    for _ in spins():
        if poll.poll(0):
            return True
    return bool(poll.poll(1000 * seconds))
