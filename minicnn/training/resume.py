"""The state of a fit between two steps, as arrays and JSON, and the way back: what makes resuming exact.

What is random is either computed anew from seed, epoch and step (the order, the augmentation), or a stream
that goes on (Dropout's, one for each replica of the model): these are saved. So are the weights, among them
the statistics of BatchNorm, the optimizer's state, the sums of the epoch that runs, and what callbacks
remember.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn.arguments import integer, real
from minicnn.errors import FileFormatError
from minicnn.training.callbacks import Callback
from minicnn.training.checkpoints import Snapshot
from minicnn.training.environment import data_digest, differences, fingerprint
from minicnn.training.files import check_form
from minicnn.training.history import Progress
from minicnn.training.weights import check_weights

if TYPE_CHECKING:
    from minicnn.training.fitting import Fit

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


def settings(fit: Fit) -> dict[str, Any]:
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
            optimizer=trainer.optimizer,
            loss=trainer.loss,
            metrics=trainer.metrics,
            augment=trainer.augment,
            data=data_digest(*fit.batches.arrays, *(fit.validation_data or ())),
        ),
    }


def capture(fit: Fit, streams: list[list[Any]]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
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


def restore(fit: Fit, snapshot: Snapshot) -> None:
    """Put a fit, but for its callbacks, back to where it was; warn if it cannot go on bit for bit.

    Raises
    ------
    ValueError
        If it is another fit's snapshot. Nothing has changed then.
    """
    state, trainer = snapshot.state, fit.trainer
    try:
        check_form(state, _FORM)
        progress, epoch = Progress.from_dict(state["progress"]), state["epoch"]
        for name, value in vars(progress).items():
            if isinstance(value, int):
                integer(value, name)
        integer(epoch, "epoch")
        steps, lr = integer(state["optimizer"]["steps"], "steps"), state["optimizer"]["lr"]
        if lr is not None:
            real(lr, "lr")
        mine = state["streams"][trainer.ranks.rank * len(fit.streams) :]  # of more threads, perhaps, or fewer
        streams = [
            pair for pairs in zip(fit.streams, mine, strict=False) for pair in zip(*pairs, strict=False)
        ]
        for stream, value in streams:
            type(stream.bit_generator)().state = value  # tried first with one that nobody needs
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise FileFormatError(f"{snapshot.path} must be a checkpoint of this version: {error!r}") from error
    for name in ("examples", "batch_size", "seed"):
        if state[name] != fit.settings[name]:
            raise ValueError(
                f"to go on from {snapshot.path}, `{name}` must be {state[name]} as there, "
                f"got {fit.settings[name]}; for another fit take another folder"
            )
    told = differences(
        {**state["fingerprint"], "callbacks": _listed(state["callbacks"])},
        {
            **fit.settings["fingerprint"],
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
    if lr is not None:  # a callback may have changed it
        trainer.optimizer.lr = lr
    trainer.epoch, fit.progress = epoch, progress
    trainer.stop_training = progress.stopped
    if told and trainer.ranks.rank == 0:
        warnings.warn(
            f"going on from {snapshot.path}, but not bit for bit, since something is different: {told}",
            stacklevel=2,
        )


def restore_callbacks(hooks: Sequence[Callback], snapshot: Snapshot) -> None:
    """Give callbacks back what they remembered; those that are new begin anew."""
    for name, hook in _named(hooks):
        state = snapshot.state["callbacks"].get(name, {})
        arrays = _under(f"callbacks.{name}.", snapshot.arrays)
        if state or arrays:
            try:
                hook.load_state_dict(state | arrays)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
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


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _under(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
