"""Training on several processes, on one machine or many: what they tell each other, by MPI.

Each process, a rank, holds the whole model and computes its shard of each batch; in every step one message
adds up all gradients, and then each rank makes the same step. So their weights are equal without being sent.
Here is everything that is said; without a communicator nothing is, and all of it costs nothing.
"""

from __future__ import annotations

import contextlib
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeVar

import numpy as np

from minicnn.parallel.watchdog import Watchdog, end_all
from minicnn.parameter import Parameter
from minicnn.validation import check_real

T = TypeVar("T")
E = TypeVar("E", bound=Exception)
# Where those who start processes say how many: Hydra (MPICH, Intel) and SLURM's PMI, Open MPI, SLURM's srun.
_SIZES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
TIMEOUT = 600.0  # seconds, far more than one rank ever takes longer than the others


def detect_world() -> Any:
    """Return MPI's communicator of all ranks where `mpiexec` or `srun` started several, otherwise None.

    Raises
    ------
    ImportError
        If there is no mpi4py.
    ValueError
        If they do not know of each other: then each would train for itself, into the same folder.
    """
    started = max(int(os.environ.get(name) or 1) for name in _SIZES)
    if started == 1:
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError(
            "several ranks must have mpi4py, which is missing: pip install 'minicnn-numpy[mpi]'"
        ) from error
    if started != MPI.COMM_WORLD.size:
        raise ValueError(
            f"the ranks must know of each other, but {started} were started, and MPI sees "
            f"{MPI.COMM_WORLD.size}: take the `mpiexec` that belongs to mpi4py's MPI, or `srun --mpi=pmi2`"
        )
    return MPI.COMM_WORLD


class Ranks:
    """The ranks of a training, seen from one of them; while entered, a watchdog sees if one does not arrive.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        None: there is only this process.
    timeout : float or None
        Seconds that a rank waits for the others; None, for ever.
    """

    def __init__(self, comm: Any = None, timeout: float | None = TIMEOUT) -> None:
        if comm is not None and not all(hasattr(comm, name) for name in ("Allreduce", "rank", "size")):
            raise TypeError(f"`comm` must be a communicator such as mpi4py.MPI.COMM_WORLD, got {comm!r}")
        self.timeout = None if timeout is None else check_real(timeout, "rank_timeout", above_low=True)
        self.rank: int = 0 if comm is None else comm.rank
        self.size: int = 1 if comm is None else comm.size
        self.comm = comm if self.size > 1 else None
        self.stage = "the beginning"  # how far this rank is, in words
        self._watchdog: Watchdog | None = None
        self._flat = np.empty(0)
        self._known: BaseException | None = None

    def __enter__(self) -> Self:
        if self.comm is not None and self.timeout is not None:
            self._watchdog = self._watchdog or Watchdog(self.comm, self.timeout)
            self._watchdog.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._watchdog is not None:
            self._watchdog.end()

    # --- what is said -------------------------------------------------------------------------------------

    def all_reduce(self, parameters: Sequence[Parameter], numbers: Sequence[float]) -> list[float]:
        """Sum the gradients, in place, and return the sums of the numbers: all of it in one message."""
        if self.comm is None:
            return list(numbers)
        from mpi4py import MPI

        grads = [parameter.grad for parameter in parameters if parameter.trainable]
        size, dtype = sum(grad.size for grad in grads) + len(numbers), grads[0].dtype
        if (self._flat.size, self._flat.dtype) != (size, dtype):
            self._flat = np.empty(size, dtype)
        np.concatenate([*(grad.ravel() for grad in grads), np.array(numbers, dtype)], out=self._flat)
        with self._waiting():
            self.comm.Allreduce(MPI.IN_PLACE, self._flat)
        start = 0
        for grad in grads:
            grad[...] = self._flat[start : start + grad.size].reshape(grad.shape)
            start += grad.size
        return self._flat[start:].tolist()

    def all_gather(self, value: T) -> list[T]:
        """Return the values that all ranks gave, in their order."""
        if self.comm is None:
            return [value]
        with self._waiting():
            return self.comm.allgather(value)

    def broadcast(self, make: Callable[[], T]) -> T:
        """Return, in all ranks, what `make` returned in rank 0, where alone it is called."""
        if self.comm is None:
            return make()
        value = make() if self.rank == 0 else None
        with self._waiting():
            return self.comm.bcast(value)

    def assert_equal(self, value: Any, sentence: str) -> None:
        """Raise ValueError, in all ranks, unless all gave the same value."""
        values = self.all_gather(value)
        if any(other != values[0] for other in values):
            raise self.raised_everywhere(ValueError(f"{sentence}, got {', '.join(map(str, values))}"))

    def weights_digest(self, parameters: Sequence[Parameter]) -> int:
        """Return a number that differs where weights do; 0 if there is nobody to compare with."""
        digest = 0
        if self.comm is not None:
            for parameter in parameters:
                digest = zlib.crc32(parameter.value.data, digest)
        return digest

    @contextlib.contextmanager
    def _waiting(self) -> Iterator[None]:
        if self._watchdog is None:
            yield
            return
        self._watchdog.begin(self.stage)
        yield
        self._watchdog.pause()

    # --- when something fails -----------------------------------------------------------------------------

    def raised_everywhere(self, error: E) -> E:
        """Return an error that all ranks raise at this place, so that none waits for another."""
        self._known = error
        return error

    @contextlib.contextmanager
    def abort_on_error(self) -> Iterator[None]:
        """Show an exception and end the processes of all ranks, which would wait for this one for ever."""
        try:
            yield
        except BaseException as error:
            if self.comm is None or error is self._known:
                raise
            text = f"rank {self.rank} of {self.size} failed in {self.stage}, which ends them all:"
            print(text, file=sys.stderr)
            sys.excepthook(type(error), error, error.__traceback__)
            end_all()
