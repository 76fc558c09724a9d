"""What a checkpoint of a fit holds besides arrays, and the checks before any of it is taken over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.safeguards.notes import check_range
from minicnn.saving.files import check_schema
from minicnn.training.batch import Batches
from minicnn.validation import check_int, check_real

_SCHEMA = {
    **dict.fromkeys(("examples", "batch_size", "seed"), object),
    "fingerprint": {str: str},
    **dict.fromkeys(("epoch", "first_epoch", "step", "seen", "batches"), int),
    "sums": {str: float},
    "counts": {str: int},
    "history": {"epoch": [int], "history": {str: [float]}},
    "stop": bool,
    "optimizer": {"steps": int, "lr_scale": float},
    "generators": [[dict]],
    "callbacks": {str: dict},
    "input_range": object,
}


@contextlib.contextmanager
def file_format_error(message: str) -> Iterator[None]:
    """Turn what wrong content raises into a FileFormatError with this message."""
    try:
        yield
    except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
        raise FileFormatError(f"{message}: {error!r}") from error


def check_values(values: dict[str, Any]) -> None:
    """Raise unless these are the values that a checkpoint has; an older one has no range of inputs."""
    values.setdefault("input_range", None)
    check_range(values["input_range"])
    check_schema(values, _SCHEMA)
    if not all(map(str.isidentifier, values["fingerprint"])):
        raise ValueError("the fingerprint must have names")
    check_int(values["optimizer"]["steps"], "steps")
    check_int(values["batches"], "batches")
    for count in values["counts"].values():
        check_int(count, "counts", low=1)
    check_real(values["optimizer"]["lr_scale"], "lr_scale")


def check_generator_state(generator: np.random.Generator, state: dict[str, Any]) -> None:
    """Raise unless a generator can take over this state."""
    bits = generator.bit_generator
    type(bits)().state = state  # tried on a spare one first
    # NumPy does not check where these read their next number, not even against their memory.
    place, size = 0, 0
    if isinstance(bits, np.random.MT19937):
        place, size = state["state"]["pos"], 624
    elif isinstance(bits, np.random.Philox):
        place, size = state["buffer_pos"], 4
    if not 0 <= place <= size:
        raise ValueError(f"the position in a random stream must be in [0, {size}], got {place}")


def is_consistent(values: Mapping[str, Any], batches: Batches) -> bool:
    """Return whether the numbers of a fit agree with each other and with its data."""
    first, epoch, step, seen = (values[name] for name in ("first_epoch", "epoch", "step", "seen"))
    counts, batches_before = values["counts"], values["batches"] - step
    done, curves = values["history"]["epoch"], values["history"]["history"].values()
    return (
        (step >= 0 and bool(step) == bool(seen) and batches.is_possible(step, seen) and batches_before >= 0)
        and (values["sums"].keys() == counts.keys() and bool(step) >= bool(counts))
        and (first >= 0 and epoch - first == len(done) and done == list(range(first, epoch)))
        and all(len(curve) <= len(done) for curve in curves)
    )


def under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays whose names begin with a prefix, without it."""
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
