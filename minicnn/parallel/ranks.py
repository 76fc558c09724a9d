"""Training on several processes (ranks), on one machine or many: all communication between them, by MPI.

Each rank holds the whole model and computes its shard of each batch. In every step one message sums up all
gradients, and then each rank makes the same update. So all ranks keep equal weights without sending them.
Without a communicator there is one rank, and no method here costs anything.
"""

import contextlib
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self, TypeVar

import numpy as np

from minicnn.parallel.rank_exit import exit_aborts_all_ranks
from minicnn.parallel.watchdog import Watchdog, abort_all_ranks
from minicnn.parameter import Parameter
from minicnn.validation import check_real

T = TypeVar("T")
E = TypeVar("E", bound=Exception)
# Where launchers store the number of ranks: Hydra (MPICH, Intel) and SLURM's PMI, Open MPI, SLURM's srun.
_SIZE_VARIABLES = ("PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS")
TIMEOUT = 600.0  # seconds, far more than the time between the first and the last rank in any step


def detect_world() -> Any:
    """Return MPI's communicator of all ranks if `mpiexec` or `srun` started several, otherwise None.

    Raises
    ------
    ImportError
        If mpi4py is not installed.
    ValueError
        If the ranks cannot communicate: each would train alone and write to the same folder.
    """
    started = max(int(os.environ.get(name) or 1) for name in _SIZE_VARIABLES)
    if started == 1:
        return None
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise ImportError("several ranks need mpi4py: pip install 'minicnn-numpy[mpi]'") from error
    if started != MPI.COMM_WORLD.size:
        raise ValueError(
            f"{started} ranks were started, but MPI sees {MPI.COMM_WORLD.size}: use the `mpiexec` that "
            f"belongs to mpi4py's MPI, or `srun --mpi=pmi2`"
        )
    return MPI.COMM_WORLD


class Ranks:
    """All ranks of a training, seen from one of them; a context manager that runs the watchdog.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm, optional
        None stands for a single rank, this process.
    timeout : float or None
        Seconds that a rank waits for the others; None for no limit.

    Attributes
    ----------
    rank, size : int
        The number of this rank, from 0, and the number of all.
    stage : str
        What this rank is doing, for messages: "epoch 0, step 3".
    """

    def __init__(self, comm: Any = None, timeout: float | None = TIMEOUT) -> None:
        if comm is not None and not all(hasattr(comm, name) for name in ("Allreduce", "rank", "size")):
            raise TypeError(f"`comm` must be a communicator such as mpi4py.MPI.COMM_WORLD, got {comm!r}")
        self.timeout = None if timeout is None else check_real(timeout, "rank_timeout", above_low=True)
        self.rank: int = 0 if comm is None else comm.rank
        self.size: int = 1 if comm is None else comm.size
        self.comm = comm if self.size > 1 else None
        self.stage = "startup"
        self._open = contextlib.ExitStack()
        self._watchdog: Watchdog | None = None
        self._buffer = np.empty(0)
        self._raised_everywhere: BaseException | None = None

    def __enter__(self) -> Self:
        if self.comm is not None:
            self._open.enter_context(exit_aborts_all_ranks(f"rank {self.rank} of {self.size}"))
        if self.comm is not None and self.timeout is not None:
            self._watchdog = self._watchdog or Watchdog(self.comm, self.timeout)
            self._open.enter_context(self._watchdog.running())
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    # --- communication ------------------------------------------------------------------------------------

    def all_reduce(self, parameters: Sequence[Parameter], numbers: Sequence[float]) -> list[float]:
        """Sum the gradients over all ranks, in place, and return the sums of `numbers`; in one message."""
        if self.comm is None:
            return list(numbers)
        from mpi4py import MPI

        grads = [parameter.grad for parameter in parameters if parameter.trainable]
        size, dtype = sum(grad.size for grad in grads) + len(numbers), grads[0].dtype
        if (self._buffer.size, self._buffer.dtype) != (size, dtype):
            self._buffer = np.empty(size, dtype)
        np.concatenate([*(grad.ravel() for grad in grads), np.array(numbers, dtype)], out=self._buffer)
        with self._waiting():
            self.comm.Allreduce(MPI.IN_PLACE, self._buffer)
        *sums, rest = np.split(self._buffer, np.cumsum([grad.size for grad in grads]))
        for grad, grad_sum in zip(grads, sums, strict=True):
            grad[...] = grad_sum.reshape(grad.shape)
        return rest.tolist()

    def sum(self, array: np.ndarray) -> np.ndarray:
        """Return the sum of float64 arrays over all ranks."""
        total = array.copy()
        if self.comm is not None:
            from mpi4py import MPI

            with self._waiting():
                self.comm.Allreduce(MPI.IN_PLACE, total)
        return total

    def all_gather(self, value: T) -> list[T]:
        """Return the values of all ranks, in their order."""
        if self.comm is None:
            return [value]
        with self._waiting():
            return self.comm.allgather(value)

    def collect(self, *arrays: np.ndarray) -> list[np.ndarray]:
        """Give rank 0 the rows of all ranks, and the other ranks none."""
        gathered = zip(*self.all_gather(arrays), strict=True)
        return [array[:0] for array in arrays] if self.rank else [*map(np.concatenate, gathered)]

    def broadcast(self, make: Callable[[], T]) -> T:
        """Call `make` in rank 0 only, and return its result in all ranks."""
        if self.comm is None:
            return make()
        value = make() if self.rank == 0 else None
        with self._waiting():
            return self.comm.bcast(value)

    def assert_equal(self, value: Any, requirement: str) -> None:
        """Raise ValueError in all ranks unless their values are equal."""
        values = self.all_gather(value)
        if any(other != values[0] for other in values):
            raise self.raised_everywhere(ValueError(f"{requirement}, got {', '.join(map(str, values))}"))

    def weights_digest(self, parameters: Sequence[Parameter]) -> int:
        """Return a checksum of the weights for `assert_equal`; 0 if there is only one rank."""
        digest = 0
        if self.comm is not None:
            for parameter in parameters:
                digest = zlib.crc32(parameter.value.data, digest)
        return digest

    def _waiting(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext() if self._watchdog is None else self._watchdog.waiting(self.stage)

    # --- errors -------------------------------------------------------------------------------------------

    def raised_everywhere(self, error: E) -> E:
        """Mark and return an error that all ranks raise at this point, so that none waits for another."""
        self._raised_everywhere = error
        return error

    @contextlib.contextmanager
    def abort_on_error(self) -> Iterator[None]:
        """On an exception in this rank alone, print it and end all ranks, which would wait for this one."""
        try:
            yield
        except BaseException as error:
            if self.comm is None or error is self._raised_everywhere:
                raise
            text = f"rank {self.rank} of {self.size} failed in {self.stage}; aborting all ranks"
            print(text, file=sys.stderr)
            sys.excepthook(type(error), error, error.__traceback__)
            abort_all_ranks()
