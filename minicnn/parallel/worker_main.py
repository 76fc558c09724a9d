"""The program that a worker process runs, see `minicnn.parallel.workers`."""

from __future__ import annotations

import contextlib
import pickle
import sys
from multiprocessing.connection import Connection

from minicnn.parallel.cores import blas_threads
from minicnn.parallel.data_parallel import compute_shard
from minicnn.parallel.shared_memory import attach
from minicnn.parallel.workers import DISCONNECTED, PACKAGE_FILE, wait_for_message

IDLE_TIMEOUT = 60.0  # seconds without a shard after which a worker ends; a new one starts when it is needed


def main(pipe_descriptor: int, memory: int, idle_timeout: float = IDLE_TIMEOUT) -> None:
    """Compute shards until none arrives for `idle_timeout` seconds, or the process that trains has ended."""
    pipe = Connection(pipe_descriptor)
    with contextlib.suppress(*DISCONNECTED):
        model, loss = pickle.load(sys.stdin.buffer)
        parameters, generators = model.parameters(), model.generators()
        _, arena = attach(parameters, memory, values=True)
        with blas_threads(1):
            pipe.send(PACKAGE_FILE)
            while wait_for_message(pipe, idle_timeout):
                x, y, batch, states = pipe.recv()
                arena.clear()
                x, y = arena.read(x), arena.read(y)
                for generator, state in zip(generators, states, strict=True):
                    generator.bit_generator.state = state
                try:
                    value, predictions = compute_shard(model, parameters, loss, x, y, batch, split=True)
                except Exception:  # the process that trains computes the shard again, and raises it there
                    pipe.send(None)
                else:
                    states = [generator.bit_generator.state for generator in generators]
                    pipe.send_bytes(pickle.dumps((value, arena.write(predictions), states)))
