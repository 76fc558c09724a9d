"""Checkpoints of a fit and the way back: what makes an interrupted training end bit-identical.

Everything random is either recomputed from seed, epoch and step (the order, the augmentation), or a stream
that continues (Dropout's, one for each replica of the model); these streams are saved, and with them the
weights, the optimizer's state, the sums of the epoch that runs, and the callbacks' state.
"""

from __future__ import annotations

import contextlib
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.parallel.data_parallel import DataParallel
from minicnn.saving.checkpoints import CheckpointFolder, Snapshot
from minicnn.saving.files import check_schema
from minicnn.saving.fingerprint import data_digest, differences, fingerprint
from minicnn.saving.weights import check_weights
from minicnn.training.batches import Batches
from minicnn.training.callbacks.base import Callback, Logs
from minicnn.training.diagnosis import is_finite
from minicnn.training.state import TrainingState
from minicnn.validation import check_int, check_real

_SCHEMA = {
    "examples": object,
    "batch_size": object,
    "seed": object,
    "fingerprint": {str: str},
    "epoch": int,
    "first_epoch": int,
    "step": int,
    "seen": int,
    "sums": {str: float},
    "history": {"epoch": [int], "history": {str: [float]}},
    "stop": bool,
    "optimizer": {"steps": int, "lr_scale": float},
    "generators": [[dict]],
    "callbacks": {str: dict},
}


class Checkpointer(Callback):
    """Write checkpoints of a fit into a folder, and restore the newest; the last of the callbacks.

    Parameters
    ----------
    folder : CheckpointFolder
        Entered by the caller in the first rank.
    state : TrainingState
        What is saved and restored.
    data_parallel : DataParallel
        Its replicas hold the random streams.
    batches : Batches
        The data set; its size, `batch_size` and `seed` must be those of the checkpoint.
    metrics : dict
        The metrics by name. These, the settings of model and optimizer, and the data decide the numbers: a
        difference is reported, and the fit continues.
    validation_data : tuple of ndarray
        Empty if there is none.
    hooks : sequence of Callback
        Those whose state is saved.
    """

    every_rank = True

    def __init__(
        self,
        state: TrainingState,
        data_parallel: DataParallel,
        batches: Batches,
        metrics: Mapping[str, Any],
        folder: CheckpointFolder,
        validation_data: Sequence[np.ndarray],
        hooks: Sequence[Callback],
    ) -> None:
        self.folder, self.state, self.data_parallel, self.batches = folder, state, data_parallel, batches
        self.metrics = metrics
        self.ranks = data_parallel.ranks
        self.hooks = dict(_named(hook for hook in hooks if self.ranks.rank == 0 or hook.every_rank))
        self.lr = state.optimizer.lr
        self.fixed = {"examples": batches.size, "batch_size": batches.batch_size, "seed": batches.seed}
        self.fingerprint = self.ranks.broadcast(lambda: self._describe(validation_data))

    def _describe(self, validation_data: Sequence[np.ndarray]) -> dict[str, str]:
        model, optimizer = self.state.model, self.state.optimizer
        return fingerprint(
            threads=len(self.data_parallel.models),
            ranks=self.ranks.size,
            dtype=model.dtype,
            model=model,
            optimizer=type(optimizer).__name__,
            **optimizer.settings(),
            loss=self.state.loss,
            metrics=dict(self.metrics),
            augment=self.batches.augment,
            data=data_digest(*self.batches.arrays, *validation_data),
        )

    # --- saving -------------------------------------------------------------------------------------------

    def on_batch_end(self, step: int, logs: Logs) -> None:
        """Save if `folder.every` steps have passed."""
        if self.folder.every is not None and self.state.optimizer.steps % self.folder.every == 0:
            self.save()

    def on_epoch_end(self, epoch: int, logs: Logs) -> None:
        """Save, unless it is done every so many steps."""
        if self.folder.every is None:
            self.save()

    def save(self) -> None:
        """Write a checkpoint of the state between two steps; all weights must be finite."""
        state = self.state
        if state.optimizer.lr != self.lr:
            raise ValueError(
                f"a callback changed `optimizer.lr` from {self.lr!r} to {state.optimizer.lr!r}, which "
                f"checkpoints do not hold; change `optimizer.lr_scale` instead"
            )
        for name, parameter in state.model.named_parameters():
            if not is_finite(parameter.value):
                raise self.ranks.raised_everywhere(
                    FloatingPointError(
                        f"the weights {name!r} became non-finite in step {state.optimizer.steps} and are not "
                        f"saved. Try a smaller learning rate."
                    )
                )
        own = [[g.bit_generator.state for g in each] for each in self.data_parallel.generators()]
        generators = [states for rank in self.ranks.all_gather(own) for states in rank]
        state.stop = any(self.ranks.all_gather(state.stop))
        if self.ranks.rank == 0:
            arrays, callbacks = state.arrays(), {}
            for name, hook in self.hooks.items():
                values = hook.state_dict()
                held = {key: value for key, value in values.items() if isinstance(value, np.ndarray)}
                arrays |= {f"callbacks.{name}.{key}": value for key, value in held.items()}
                if values.keys() - held.keys():
                    callbacks[name] = {key: value for key, value in values.items() if key not in held}
            more = {"fingerprint": self.fingerprint, "generators": generators, "callbacks": callbacks}
            self.folder.save(state.optimizer.steps, arrays, self.fixed | state.values() | more)

    # --- restoring ----------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def resumed(self) -> Iterator[None]:
        """Restore the newest checkpoint, if there is one; the callbacks' state when the block is left.

        On an error before that is done, everything is put back as it was.

        Raises
        ------
        ValueError
            If the checkpoint is that of another fit.
        FileFormatError
            If it cannot come from such a fit.
        """
        checkpoint = self.ranks.broadcast(self.folder.latest)
        if checkpoint is None:
            yield
            return
        arrays = {name: array.copy() for name, array in self.state.arrays().items()}
        values = self.state.values()
        streams = [
            (s.bit_generator, s.bit_generator.state) for each in self.data_parallel.generators() for s in each
        ]
        try:
            self._restore(checkpoint)
            yield
            self._restore_callbacks(checkpoint)
        except BaseException:
            self.state.load(arrays, values)
            for bits, before in streams:
                bits.state = before
            raise

    def _restore(self, checkpoint: Snapshot) -> None:
        """Check the whole checkpoint, then take it over; warn if the results will not be bit-identical."""
        state, values, path = self.state, checkpoint.state, checkpoint.path
        try:
            check_schema(values, _SCHEMA)
            if not all(map(str.isidentifier, values["fingerprint"])):
                raise ValueError("the fingerprint must have names")
            check_int(values["optimizer"]["steps"], "steps")
            check_real(values["optimizer"]["lr_scale"], "lr_scale")
            streams = self._streams(values["generators"])
        except (LookupError, TypeError, ValueError, OverflowError) as error:
            raise FileFormatError(f"{path} is not a checkpoint of this version: {error!r}") from error
        for name, own in self.fixed.items():
            if values[name] != own:
                raise ValueError(
                    f"{path} is of another fit: `{name}` is {values[name]!r:.50} there and {own} here; use "
                    f"another checkpoint folder"
                )
        if not _is_consistent(values, self.batches):
            raise FileFormatError(f"the steps, examples and epochs in {path} contradict each other")
        weights = _under("model.", checkpoint.arrays)
        check_weights(state.model, weights, path)
        state.load(checkpoint.arrays, values)
        if values["fingerprint"].get("lr") != self.fingerprint["lr"]:  # the user asks for this rate now
            state.optimizer.lr_scale = 1.0
        if state.sums:  # a metric that is new is unknown for the epoch so far
            state.sums = {name: state.sums.get(name, math.nan) for name in ("loss", *self.metrics)}
        for stream, bits in streams:
            stream.bit_generator.state = bits
        changed = differences(
            values["fingerprint"] | {"callbacks": _listed(values["callbacks"])},
            self.fingerprint | {"callbacks": _listed(values["callbacks"].keys() & self.hooks.keys())},
        )
        if changed and self.ranks.rank == 0:
            warnings.warn(
                f"resuming from {path}; results will not be bit-identical, because {changed}", stacklevel=2
            )

    def _streams(self, states: list[list[dict[str, Any]]]) -> list[tuple[np.random.Generator, dict]]:
        """Return this rank's random streams, each with its saved state; threads may be more or fewer."""
        own = self.data_parallel.generators()
        mine = states[self.ranks.rank * len(own) :]
        pairs = [pair for each in zip(own, mine, strict=False) for pair in zip(*each, strict=False)]
        for stream, state in pairs:
            bits = stream.bit_generator
            type(bits)().state = state  # tried on a spare one first
            # NumPy does not check where these read their next number, not even against their memory.
            place, size = 0, 0
            if isinstance(bits, np.random.MT19937):
                place, size = state["state"]["pos"], 624
            elif isinstance(bits, np.random.Philox):
                place, size = state["buffer_pos"], 4
            if not 0 <= place <= size:
                raise ValueError(f"the position in a random stream must be in [0, {size}], got {place}")
        return pairs

    def _restore_callbacks(self, checkpoint: Snapshot) -> None:
        for name, hook in self.hooks.items():
            values = checkpoint.state["callbacks"].get(name, {})
            arrays = _under(f"callbacks.{name}.", checkpoint.arrays)
            if values or arrays:
                try:
                    hook.load_state_dict(values | arrays)
                except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
                    raise FileFormatError(
                        f"{checkpoint.path} holds a wrong state of {name}: {error!r}"
                    ) from error


def _is_consistent(values: Mapping[str, Any], batches: Batches) -> bool:
    """Return whether the numbers of a fit agree with each other and with its data."""
    first, epoch, step, seen = (values[name] for name in ("first_epoch", "epoch", "step", "seen"))
    done, curves = values["history"]["epoch"], values["history"]["history"].values()
    if batches.arrays:
        size, batch_size = len(batches.arrays[0]), batches.batch_size
        agree = (step - 1) * batch_size < size and seen == min(step * batch_size, size)
    else:
        agree = step <= seen
    return (
        (agree and step >= 0 and bool(step) == bool(seen) == bool(values["sums"]))
        and (first >= 0 and epoch - first == len(done) and done == list(range(first, epoch)))
        and all(len(curve) <= len(done) for curve in curves)
    )


def _named(hooks: Iterable[Callback]) -> Iterator[tuple[str, Callback]]:
    """Yield callbacks with their names: the class, and a number among those of the same class."""
    counts: Counter[str] = Counter()
    for hook in hooks:
        kind = type(hook).__name__
        yield f"{kind}.{counts[kind]}", hook
        counts[kind] += 1


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
