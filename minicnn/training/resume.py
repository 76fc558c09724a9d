"""The state of a fit between two steps, as arrays and JSON, and the way back: what makes resuming exact.

What is random is either computed anew from seed, epoch and step (the order, the augmentation), or a stream
that goes on (Dropout's, one for each replica of the model): these are saved. So are the weights, among them
the statistics of BatchNorm, the optimizer's state, the sums of the epoch that runs, and what callbacks
remember.
"""

from __future__ import annotations

import contextlib
import copy
import math
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.errors import FileFormatError
from minicnn.optimizers import Optimizer
from minicnn.saving.checkpoints import Snapshot
from minicnn.saving.files import check_schema
from minicnn.saving.fingerprint import data_digest, differences, fingerprint
from minicnn.saving.weights import check_weights
from minicnn.training.batches import Batches
from minicnn.training.callbacks import Callback
from minicnn.training.history import Progress
from minicnn.validation import check_int, check_real

if TYPE_CHECKING:
    from minicnn.training.loop import TrainingLoop

_FORM = {
    "examples": object,
    "batch_size": object,
    "seed": object,
    "fingerprint": {str: str},
    "epoch": int,
    "progress": {
        "first_epoch": int,
        "step": int,
        "seen": int,
        "sums": {str: float},
        "stopped": bool,
        "history": {"epoch": [int], "history": {str: [float]}},
    },
    "optimizer": {"steps": int, "lr": object},
    "streams": [[dict]],
    "callbacks": {str: dict},
}


def settings(fit: TrainingLoop) -> dict[str, Any]:
    """Return what must be equal when a fit is resumed, and `fingerprint`, by which it is bit-identical."""
    trainer = fit.trainer
    return {
        "examples": fit.batches.size,
        "batch_size": fit.batches.batch_size,
        "seed": trainer.seed,
        "fingerprint": fingerprint(
            threads=len(fit.shards.models),
            ranks=trainer.ranks.size,
            dtype=trainer.model.dtype,
            model=trainer.model,
            optimizer=_without_rate(trainer.optimizer),
            rate=fit.rate,
            loss=trainer.loss,
            metrics=trainer.metrics,
            augment=trainer.augment,
            data=data_digest(*fit.batches.arrays, *(fit.validation_data or ())),
        ),
    }


def capture(fit: TrainingLoop, streams: list[list[Any]]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Return all that a fit is made of, between two steps; `streams` are those of all shards of all ranks."""
    model, optimizer = fit.trainer.model, fit.trainer.optimizer
    arrays = {f"model.{name}": parameter.value for name, parameter in model.named_parameters()}
    arrays |= {f"optimizer.{name}": array for name, array in optimizer.state_dict().items()}
    callbacks: dict[str, dict[str, Any]] = {}
    for name, hook in _named(fit.hooks):
        for key, value in hook.state_dict().items():
            if isinstance(value, np.ndarray):
                arrays[f"callbacks.{name}.{key}"] = value
            else:
                callbacks.setdefault(name, {})[key] = value
    state = {
        **fit.settings,
        "epoch": fit.trainer.epoch,
        "progress": fit.progress.to_dict(),
        "optimizer": {"steps": optimizer.steps, "lr": None if callable(optimizer.lr) else optimizer.lr},
        "streams": streams,
        "callbacks": callbacks,
    }
    return arrays, state


def restore(fit: TrainingLoop, snapshot: Snapshot) -> None:
    """Put a fit, but for its callbacks, back to where it was; warn if it cannot go on bit for bit.

    Raises
    ------
    ValueError
        If it is another fit's snapshot. Nothing has changed then.
    """
    state, trainer = snapshot.state, fit.trainer
    try:
        check_schema(state, _FORM)
        if not all(map(str.isidentifier, state["fingerprint"])):
            raise ValueError("the fingerprint must have names")
        steps, lr = check_int(state["optimizer"]["steps"], "steps"), state["optimizer"]["lr"]
        if lr is not None:
            check_real(lr, "lr")
        streams = _streams(fit, state["streams"])
    except (LookupError, TypeError, ValueError, OverflowError) as error:
        raise FileFormatError(f"{snapshot.path} must be a checkpoint of this version: {error!r}") from error
    for name in ("examples", "batch_size", "seed"):
        if state[name] != fit.settings[name]:
            raise ValueError(
                f"to go on from {snapshot.path}, `{name}` must be {state[name]!r:.50} as there, "
                f"got {fit.settings[name]}; for another fit take another folder"
            )
    progress, epoch = Progress.from_dict(state["progress"]), state["epoch"]
    if not _possible(progress, epoch, fit.batches):
        raise FileFormatError(f"the steps, examples and epochs that {snapshot.path} tells of must agree")
    own = fit.settings["fingerprint"]
    told = differences(
        {**state["fingerprint"], "callbacks": _listed(state["callbacks"])},
        {
            **own,
            "callbacks": _listed(state["callbacks"].keys() & dict(_named(fit.hooks))),
        },
    )
    weights = _under("model.", snapshot.arrays)
    check_weights(trainer.model, weights, snapshot.path)
    parameters = trainer.model.parameters()
    trainer.optimizer.load_state_dict(_under("optimizer.", snapshot.arrays), steps, parameters)
    for name, parameter in trainer.model.named_parameters():
        parameter.value = weights[name]
    for stream, value in streams:
        stream.bit_generator.state = value
    # A callback may have changed it; unless somebody asks for another one now.
    if lr is not None and state["fingerprint"].get("rate", own["rate"]) == own["rate"]:
        trainer.optimizer.lr = lr
    if progress.sums:  # of metrics that are new, nothing is known of the epoch so far
        progress.sums = {name: progress.sums.get(name, math.nan) for name in ("loss", *trainer.metrics)}
    trainer.epoch, fit.progress = epoch, progress
    trainer.stop_training = progress.stopped
    if told and trainer.ranks.rank == 0:
        warnings.warn(
            f"going on from {snapshot.path}, but not bit for bit, since something is different: {told}",
            stacklevel=2,
        )


@contextlib.contextmanager
def rollback_on_error(fit: TrainingLoop) -> Iterator[None]:
    """Put all that `restore` changes back to what it was, if an exception comes."""
    trainer, progress = fit.trainer, fit.progress
    model, optimizer = trainer.model, trainer.optimizer
    weights, state, steps = model.get_weights(), optimizer.state_dict(), optimizer.steps
    lr, epoch, stop = optimizer.lr, trainer.epoch, trainer.stop_training
    streams = [(one.bit_generator, one.bit_generator.state) for streams in fit.streams for one in streams]
    try:
        yield
    except BaseException:
        model.set_weights(weights)
        optimizer.load_state_dict(state, steps, model.parameters())
        optimizer.lr, trainer.epoch, trainer.stop_training, fit.progress = lr, epoch, stop, progress
        for bits, before in streams:
            bits.state = before
        raise


def _streams(fit: TrainingLoop, states: list[list[dict[str, Any]]]) -> list[tuple[np.random.Generator, dict]]:
    """Return this rank's random streams, each with the state that it is to get; of more threads, or fewer."""
    mine = states[fit.ranks.rank * len(fit.streams) :]
    pairs = [pair for pairs in zip(fit.streams, mine, strict=False) for pair in zip(*pairs, strict=False)]
    for stream, state in pairs:
        type(stream.bit_generator)().state = state  # tried first with one that nobody needs
        # Where these read their next number, NumPy takes as it comes, also beyond their memory.
        place, size = 0, 0
        if isinstance(stream.bit_generator, np.random.MT19937):
            place, size = state["state"]["pos"], 624
        elif isinstance(stream.bit_generator, np.random.Philox):
            place, size = state["buffer_pos"], 4
        if not 0 <= place <= size:
            raise ValueError(f"the place in a random stream must be in [0, {size}], got {place}")
    return pairs


def _possible(progress: Progress, epoch: int, batches: Batches) -> bool:
    """Return whether the numbers of a fit that is in this epoch agree with each other and with its data."""
    first, step, seen, done = progress.first_epoch, progress.step, progress.seen, progress.history.epoch
    if batches.arrays:
        size, batch_size = len(batches.arrays[0]), batches.batch_size
        agree = (step - 1) * batch_size < size and seen == min(step * batch_size, size)
    else:
        agree = step <= seen
    return (
        (agree and step >= 0 and bool(step) == bool(seen) == bool(progress.sums))
        and (first >= 0 and epoch - first == len(done) and done == list(range(first, epoch)))
        and all(len(values) <= len(done) for values in progress.history.history.values())
    )


def restore_callbacks(hooks: Sequence[Callback], snapshot: Snapshot) -> None:
    """Give callbacks back what they remembered; those that are new begin anew."""
    for name, hook in _named(hooks):
        state = snapshot.state["callbacks"].get(name, {})
        arrays = _under(f"callbacks.{name}.", snapshot.arrays)
        if state or arrays:
            try:
                hook.load_state_dict(state | arrays)
            except (LookupError, TypeError, ValueError, OverflowError, AttributeError) as error:
                raise FileFormatError(
                    f"{snapshot.path} must hold what {name} can go on from: {error!r}"
                ) from error


def _named(hooks: Sequence[Callback]) -> Iterator[tuple[str, Callback]]:
    """Yield callbacks with their names: the class, and a number among those of the same class."""
    counts: Counter[str] = Counter()
    for hook in hooks:
        kind = type(hook).__name__
        yield f"{kind}.{counts[kind]}", hook
        counts[kind] += 1


def _without_rate(optimizer: Optimizer) -> Optimizer:
    """Return a copy to be described: callbacks change the rate, which is compared by itself."""
    twin = copy.copy(optimizer)
    twin.lr = 0.0
    return twin


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
