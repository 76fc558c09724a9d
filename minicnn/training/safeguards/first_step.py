"""What the first step of a training shows: a user's functions, a softmax too many, an update of nothing."""

import contextlib
import warnings
from collections.abc import Iterator, Sequence

import numpy as np

from minicnn.optimizers import Optimizer
from minicnn.parameter import Parameter
from minicnn.safeguards.own_functions import check_first_batch
from minicnn.safeguards.user_code import is_own
from minicnn.training.batch import Batch
from minicnn.training.evaluation import is_mean
from minicnn.training.safeguards.last_layer import warn_of_probabilities
from minicnn.training.state import Loss, TrainingState
from minicnn.training.weighting import labels_for_loss

_LISTED = 3  # names in a message
_ROUNDED = 1e-4  # of the largest gradient: what may be rounding only


def check_first_results(
    state: TrainingState, loss: Loss, batch: Batch, predictions: np.ndarray, y: np.ndarray
) -> None:
    """Check a user's loss and metrics on the first batch, whose labels were `y`, and the last layer."""
    means = {name: metric for name, metric in state.metrics.items() if is_mean(metric)}
    check_first_batch(loss, means, predictions, labels_for_loss(y, batch.sample_weight), y)
    warn_of_probabilities(state.model, state.loss, predictions)


@contextlib.contextmanager
def watched_update(
    state: TrainingState, optimizer: Optimizer, named: Sequence[tuple[str, Parameter]]
) -> Iterator[None]:
    """Warn if the first step in the block leaves weights as they are that have gradients.

    A rate of 0, with which a schedule may begin, and those of groups are meant.
    """
    if state.update_checked or optimizer is not state.optimizer or optimizer.groups:
        yield
        return
    state.update_checked = True
    rate, steps = optimizer.learning_rate, optimizer.steps
    sizes = {name: float(np.abs(p.grad).max(initial=0)) for name, p in named if p.trainable}
    least = _ROUNDED * max(sizes.values(), default=0.0)
    before = [(name, p, p.value.copy()) for name, p in named if sizes.get(name, 0.0) > least]
    yield
    kind = type(optimizer).__name__
    if optimizer.steps == steps:
        warnings.warn(
            f"{kind}.step does not count its steps in `steps`, on which schedules and checkpoints depend: "
            f"implement `update`, and leave `step` as it is",
            stacklevel=7,
        )
    same = [name for name, p, old in before if np.array_equal(p.value, old)]
    if same and rate:
        shown = ", ".join(same[:_LISTED]) + (
            f" and {len(same) - _LISTED} more" if len(same) > _LISTED else ""
        )
        why = f"{kind} must update all that it is given" if is_own(type(optimizer)) else "it is too small"
        warnings.warn(
            f"the first step, with a learning rate of {rate:g}, has changed nothing in {shown}, although "
            f"their gradients are not 0: {why}",
            stacklevel=7,
        )
