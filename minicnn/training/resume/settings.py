"""What decides the numbers of a fit: a fit that resumes with other settings will not be bit-identical."""

from typing import Any

from minicnn.parallel.data_parallel import DataParallel
from minicnn.saving.fingerprint import data_digest, fingerprint
from minicnn.training.batch import Batches
from minicnn.training.sources import Examples, ExampleSource, is_source
from minicnn.training.state import TrainingState


def settings_of_fit(
    state: TrainingState,
    data_parallel: DataParallel,
    batches: Batches,
    validation_data: ExampleSource | Examples | None,
    own_steps: str = "",
) -> dict[str, str]:
    """Return versions, machine, data and settings by name, each as a short text."""
    model, optimizer, rows = state.model, state.optimizer, batches.rows
    unusual = {
        "class_weight": batches.class_weight,
        "accumulate_steps": batches.accumulate_steps if batches.accumulate_steps > 1 else None,
        "validation_split": None if rows is None else data_digest(rows),
        "groups": optimizer.groups or None,
        "steps": own_steps or None,
    }
    return fingerprint(
        threads=len(data_parallel.models),
        ranks=data_parallel.ranks.size,
        dtype=model.dtype,
        model=model,
        frozen=", ".join(name for name, p in model.named_parameters() if p.frozen) or "none",
        optimizer=type(optimizer).__name__,
        lr=optimizer.lr,
        **{f"optimizer_{name}": value for name, value in optimizer.settings().items() if name != "lr"},
        loss=state.loss,
        metrics=dict(state.metrics),
        augment=batches.augment,
        data=_digest(batches, validation_data),
        **{name: value for name, value in unusual.items() if value is not None},
    )


def _digest(batches: Batches, validation_data: ExampleSource | Examples | None) -> str:
    data: list[Any] = [batches.source, validation_data]
    sources = [each.digest() for each in data if is_source(each)]
    held_out = validation_data if isinstance(validation_data, tuple) else ()
    return " ".join([data_digest(*batches.arrays, *held_out), *sources])
