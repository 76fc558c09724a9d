"""Loss, metrics and gradients of a batch, on all cores and ranks."""

import math
from dataclasses import dataclass

import numpy as np

from minicnn.batch_sums import summing
from minicnn.parallel.data_parallel import DataParallel
from minicnn.parallel.whole_batch import asks_for_sums
from minicnn.safeguards.inputs import to_input
from minicnn.safeguards.nonfinite import is_finite
from minicnn.saving.fingerprint import data_digest
from minicnn.training.batch import Batch, Batches
from minicnn.training.evaluation import call_metric, is_mean
from minicnn.training.safeguards.diagnosis import find_nonfinite
from minicnn.training.state import TrainingState
from minicnn.training.weighting import labels_for_loss


@dataclass(eq=False)
class GradientStep:
    """The part of a step before the optimizer's.

    Parameters
    ----------
    state : TrainingState
        The model, the loss and the metrics.
    data_parallel : DataParallel
        Runs forward, loss and backward on all cores; its `ranks` share the batches.
    """

    state: TrainingState
    data_parallel: DataParallel

    def __post_init__(self) -> None:
        self.ranks, self.parameters = self.data_parallel.ranks, self.data_parallel.parameters[0]
        names = [name for name, _ in self.state.model.named_parameters()]
        self.named_parameters = list(zip(names, self.parameters, strict=True))
        self.metrics = self.state.metrics
        self.means = {name: metric for name, metric in self.metrics.items() if is_mean(metric)}
        self.output: tuple[np.ndarray, np.ndarray] | None = None  # predictions and labels of the last batch

    def begin(self, batches: Batches, epochs: int) -> None:
        """Begin a fit: check that the ranks agree, and give all of them the weights of rank 0."""
        state, ranks = self.state, self.ranks
        ranks.assert_equal(
            (batches.size, batches.batch_size, batches.seed, state.epoch, epochs),
            "examples, batch size, seed, epoch and epochs must be the same in all ranks",
        )
        ranks.assert_equal(
            [name for name, p in state.model.named_parameters() if p.trainable],
            "the same weights must be trainable in all ranks",
        )
        if ranks.size > 1:
            source = batches.source
            digest = data_digest(*batches.arrays) if source is None else source.digest()
            ranks.assert_equal(digest, "all ranks must be given the same examples")
        state.model.set_weights(ranks.broadcast(state.model.get_weights))
        self.data_parallel.compares_next = True

    def compute(self, batch: Batch) -> dict[str, float]:
        """Compute the gradients of a batch, and return its loss and metrics; the weights do not change.

        Raises
        ------
        FloatingPointError
            If loss or gradients are not finite. The model is then as before the step.
        """
        data_parallel, few = self.data_parallel, batch.size < self.ranks.size
        batch = self._collect_few(batch) if few else batch
        y = batch.y
        results: dict[str, float] = {}
        try:
            loss, predictions = self._forward_backward(batch)
            loss, results = self._reduce(loss, predictions, y, batch.size)
        finally:
            if not results:  # the step is not made, but forward has changed the statistics already
                data_parallel.restore_statistics()
        if few:
            data_parallel.broadcast_statistics()
        if not results:
            raise self._nonfinite(loss, batch)
        self.output = predictions, y
        return results

    def kept_outputs(self) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return the predictions and labels of the last batch, if a metric needs those of the whole epoch."""
        return [self.output] if self.output and len(self.means) < len(self.metrics) else []

    def _collect_few(self, batch: Batch) -> Batch:
        """Give rank 0 all examples of a batch of fewer than there are ranks, and the other ranks none."""
        given = batch.x, batch.y, batch.sample_weight
        x, y, *weights = self.ranks.collect(*(array for array in given if array is not None))
        return Batch.of(x, y, weights[0] if weights else None, batch.size)

    def _forward_backward(self, batch: Batch) -> tuple[float, np.ndarray]:
        """Set the gradients; return this rank's loss and predictions."""
        losses, predictions = [], []
        sums: list[np.ndarray] = []
        for x, y, weights in batch.parts:
            labels = labels_for_loss(y, weights)
            loss, output = self.data_parallel.forward_backward(x, labels, batch.size)
            losses.append(loss)
            predictions += [output] if len(x) else []
            if len(batch.parts) > 1:
                grads = [p.grad if p.trainable else np.zeros(()) for p in self.parameters]
                sums = [a + b for a, b in zip(sums, grads, strict=True)] if sums else [*map(np.copy, grads)]
        for parameter, total in zip(self.parameters, sums, strict=False):
            if parameter.trainable:
                parameter.grad[...] = total
        joined = predictions[0] if len(predictions) == 1 else np.concatenate(predictions or [np.empty(0)])
        return sum(losses), joined

    def _reduce(
        self, loss: float, predictions: np.ndarray, y: np.ndarray, size: int
    ) -> tuple[float, dict[str, float]]:
        """Sum loss, metrics and gradients over the ranks; return the loss, and all results if finite."""
        state, share = self.state, len(y) / size
        values = dict.fromkeys(self.means, 0.0)
        over_ranks = self.ranks.sum if 1 < self.ranks.size <= size else None
        finite = math.isfinite(loss)
        if over_ranks and any(map(asks_for_sums, self.means.values())):
            finite = all(self.ranks.all_gather(finite))  # all ranks ask for sums, or none
        if len(y) and finite:
            with summing(over_ranks):
                values = {
                    name: call_metric(name, metric, predictions, y) * share
                    for name, metric in self.means.items()
                }
        numbers = [loss, *values.values(), len(y), state.stop, state.interrupted]
        loss, *sums, seen, stop, interrupted = self.ranks.all_reduce(self.parameters, numbers)
        if seen != size:
            raise ValueError(f"the ranks must be given the same batch, but got {seen:g} of {size} examples")
        if self.ranks.size > 1:
            state.agree(stop, interrupted)
        if not (math.isfinite(loss) and is_finite(*(p.grad for p in self.parameters if p.trainable))):
            return loss, {}
        return loss, dict(zip(("loss", *values), map(float, (loss, *sums)), strict=True))

    def _nonfinite(self, loss: float, batch: Batch) -> FloatingPointError:
        """Return the error that names the first non-finite value of this step."""
        state, ranks = self.state, self.ranks
        x, labels = to_input(state.model, batch.x), labels_for_loss(batch.y, batch.sample_weight)
        own = find_nonfinite(state.model, x, labels, self.data_parallel.loss)
        found = [clause for clause in ranks.all_gather(own) if clause]
        cause = found[0] if found else "a copy of the model that repeated the step found nothing non-finite"
        what = "a gradient became non-finite" if math.isfinite(loss) else f"loss became {loss:g}"
        advice = "" if "batch itself" in cause else ". Try a smaller learning rate."
        return ranks.raised_everywhere(
            FloatingPointError(f"{what} in epoch {state.epoch}, step {state.step}: {cause}{advice}")
        )
