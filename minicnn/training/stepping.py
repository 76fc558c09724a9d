"""An epoch, a step, and its gradients: what `fit` calls, to be overridden or called by hand."""

import contextlib
import math
from collections.abc import Iterable, Mapping

import numpy as np

from minicnn.optimizers import Optimizer
from minicnn.parameter import Parameter
from minicnn.plural import counted
from minicnn.safeguards.claims import changing
from minicnn.safeguards.global_random import no_global_random
from minicnn.safeguards.nonfinite import is_finite
from minicnn.safeguards.user_code import is_own
from minicnn.training.accumulation import Accumulation
from minicnn.training.batch import Batch
from minicnn.training.evaluation import is_mean, metrics_of_batch, metrics_of_epoch
from minicnn.training.safeguards.diagnosis import nonfinite_error
from minicnn.training.safeguards.first_step import check_first_results, watched_update
from minicnn.training.session import Session
from minicnn.training.weighting import labels_for_loss


class Stepper(Session):
    """A base of `Trainer`: the parts of a training, each to be overridden or called by hand."""

    __slots__ = ()

    def train_epoch(self, batches: Iterable[Batch]) -> Mapping[str, float]:
        """Make a step for each batch, and return the means of loss and metrics over the epoch.

        `fit` calls it for each epoch, and puts what it returns into the history. An override makes steps in
        another way: it may leave batches out, or make several steps of one. It keeps the exact resume, which
        gives the batches that are left of an epoch, if it treats each batch alone, before it takes the next
        one, and takes all; and if what it remembers is in the weights, the optimizer or a callback.

        Parameters
        ----------
        batches : iterable of Batch
            In `fit` those of the epoch; around each, `fit` counts it and calls the callbacks. Inside of
            `session`, any.

        Raises
        ------
        RuntimeError
            In `fit`, from an override that takes several batches before it makes their steps, does not take
            all, or does not record its steps.
        """
        self.state.begin_epoch()
        for batch in batches:
            self.state.record(self.train_step(batch), batch.size)
        return self.epoch_logs()

    def epoch_logs(self) -> dict[str, float]:
        """Return the means of what was recorded in the epoch, and the metrics that are no means.

        They are NaN if nothing was recorded. Outside of `fit`, the next epoch begins.
        """
        logs = self.state.means() | metrics_of_epoch(self.state, self.ranks)
        names = dict.fromkeys(("loss", *self.metrics, *logs))
        if not self.state.counts:
            logs = dict.fromkeys(names, math.nan)
        self.state.begin_epoch()
        return {name: logs[name] for name in names if name in logs}

    def _own_steps(self) -> str:
        """Return the names of those of these methods that are overridden."""
        kind = type(self)
        methods = kind.train_epoch, kind.train_step, kind.compute, kind.apply_gradients
        return ", ".join(method.__qualname__ for method in methods if is_own(method))

    def train_step(self, batch: Batch) -> Mapping[str, float]:
        """Make one step of `fit`, and return its loss and metrics: override it to make it in another way.

        A step that is a function of the batch, the weights and the optimizer's state keeps the exact resume.
        """
        results = self.compute(batch)
        self.apply_gradients()
        return results

    def compute(self, batch: Batch) -> dict[str, float]:
        """Set the gradients of the model to those of a batch, on all cores, and return loss and metrics.

        Parameters
        ----------
        batch : Batch
            That of `train_step`, or `Batch.of(x, y)`.

        Raises
        ------
        FloatingPointError
            If loss or gradients are not finite; it names the layer. The model is then as before the step.
        RuntimeError
            Outside of `fit` and `session`.
        """
        data_parallel = self._running_for(batch)
        few = batch.size < self.ranks.size
        batch = batch.collected(self.ranks) if few else batch
        y, parameters = batch.y, data_parallel.parameters[0]
        sums = Accumulation(parameters, len(batch.parts))
        results: dict[str, float] = {}
        data_parallel.begin_step()
        before = None if self.optimizer.steps else y.copy()
        watched = contextlib.nullcontext() if before is None else no_global_random("the model or the loss")
        try:
            with changing(self.model), watched:
                for x, labels, weights in batch.parts:
                    labels = labels_for_loss(labels, weights)
                    sums.add(*data_parallel.forward_backward(x, labels, batch.size))
            loss, predictions = sums.total()
            if before is not None and math.isfinite(loss):
                check_first_results(self.state, data_parallel.loss, batch, predictions, before)
            loss, results = self._reduce(parameters, loss, predictions, y, batch.size)
        finally:
            if not results:  # the step is not made, but forward has changed the statistics already
                data_parallel.restore_statistics()
        if few:
            data_parallel.broadcast_statistics()
        if not results:
            raise nonfinite_error(self.state, batch, loss, data_parallel.loss, self.ranks)
        if not all(map(is_mean, self.metrics.values())):
            self.state.output = predictions, y
        return results

    def _reduce(
        self, parameters: list[Parameter], loss: float, predictions: np.ndarray, y: np.ndarray, size: int
    ) -> tuple[float, dict[str, float]]:
        """Sum loss, metrics and gradients over the ranks; return the loss, and all results if finite."""
        state, ranks = self.state, self.ranks
        values = metrics_of_batch(state.metrics, predictions, y, size, ranks, math.isfinite(loss))
        numbers = [loss, *values.values(), len(y), state.stop, state.interrupted]
        loss, *sums, seen, stop, interrupted = ranks.all_reduce(parameters, numbers)
        if seen != size:
            raise ValueError(
                f"the ranks must be given the same batch, but got {seen:g} of {counted(size, 'example')}"
            )
        if ranks.size > 1:
            state.agree(stop, interrupted)
        if not (math.isfinite(loss) and is_finite(*(p.grad for p in parameters if p.trainable))):
            return loss, {}
        return loss, dict(zip(("loss", *values), map(float, (loss, *sums)), strict=True))

    def apply_gradients(self, optimizer: Optimizer | None = None) -> None:
        """Update the weights by their gradients, with the trainer's optimizer or another one."""
        data_parallel, optimizer = self._running(), optimizer or self.optimizer
        parameters = data_parallel.named_parameters if optimizer.groups else data_parallel.parameters[0]
        watched = watched_update(self.state, optimizer, data_parallel.named_parameters)
        with changing(self.model), watched, np.errstate(all="ignore"):
            # Weights that overflow are found in the next step or after the epoch.
            optimizer.step(parameters)
