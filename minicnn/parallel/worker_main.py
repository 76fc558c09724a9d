"""The program that a worker process runs, see `minicnn.parallel.workers`."""

from __future__ import annotations

import contextlib
import os
import pickle
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

from minicnn.layers.base import Layer
from minicnn.parallel.shard import Place, compute_shard
from minicnn.parallel.shared_memory import attach, map_sums
from minicnn.parallel.sums import AbortedError, ShardSums, SumMemory
from minicnn.parallel.threads import blas_threads
from minicnn.parallel.workers import DISCONNECTED, PACKAGE_FILE, Failure, NewModel, wait_for_message

IDLE_TIMEOUT = 60.0  # seconds without a shard after which a worker ends; a new one starts when it is needed


def main(pipe_descriptor: int, memory: int, sums: int, idle_timeout: float = IDLE_TIMEOUT) -> None:
    """Compute shards until none arrives for `idle_timeout` seconds, or the process that trains has ended."""
    pipe = Connection(pipe_descriptor)
    with contextlib.suppress(*DISCONNECTED):
        try:
            model, loss = pickle.load(sys.stdin.buffer), pickle.load(sys.stdin.buffer)
            task = ShardTask(model, loss, memory, map_sums(sums), pipe)
        except Exception as error:  # the user's code is imported here
            pipe.send(_failure(error))
            return
        with blas_threads(1):
            pipe.send(PACKAGE_FILE)
            while wait_for_message(pipe, idle_timeout):
                message = pipe.recv()
                try:
                    if isinstance(message, NewModel):
                        task = task.replaced(message)
                    else:
                        pipe.send_bytes(pickle.dumps(task.compute(*message)))
                except Exception as error:  # the process that trains computes the shard, and raises it there
                    pipe.send(_failure(error))
                    if isinstance(message, NewModel):
                        return


class ShardTask:
    """What a worker computes: a model and its loss, with weights and arrays in the shared memory."""

    def __init__(self, model: Layer, loss: Callable, memory: int, sums: SumMemory, pipe: Connection) -> None:
        self.model, self.loss, self.memory, self.sums, self.pipe = model, loss, memory, sums, pipe
        self.parent = os.getppid()
        self.parameters, self.generators = model.parameters(), model.generators()
        _, self.arena = attach(self.parameters, memory, values=True)

    def replaced(self, new: NewModel) -> ShardTask:
        """Return the task with another model or loss."""
        if new.loss is not None:
            self.loss = pickle.loads(new.loss)
        if new.model is None:
            return self
        return ShardTask(pickle.loads(new.model), self.loss, self.memory, self.sums, self.pipe)

    def compute(self, x: Any, y: Any, batch: int, split: bool, states: list, place: Place) -> tuple:
        """Return loss, predictions, the states of the generators, and the checksum of the sums of a shard."""
        self.arena.clear()
        x, y = self.arena.read(x), self.arena.read(y)
        for generator, state in zip(self.generators, states, strict=True):
            generator.bit_generator.state = state
        self.sums.attempt = place.attempt
        sums = ShardSums(self.sums, place.index, place.count, has_ranks=place.has_ranks, check=self._check)
        with sums:
            value, predictions = compute_shard(self.model, self.parameters, self.loss, x, y, batch, split)
        states = [generator.bit_generator.state for generator in self.generators]
        return value, self.arena.write(predictions), states, sums.checksum

    def _check(self, other: int, seconds: float) -> None:
        # No message comes now, so the process that trains has closed the pipe. A fork of it may hold it open.
        if self.pipe.poll() or os.getppid() != self.parent:
            raise EOFError


def _failure(error: Exception) -> Failure:
    if isinstance(error, AbortedError):
        return Failure("")
    return Failure(f"{type(error).__name__}: {' '.join(str(error).split())}")
