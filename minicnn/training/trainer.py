"""The trainer: fits a model to data. The loop itself is in `minicnn.training.loop`."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.losses import softmax_cross_entropy
from minicnn.optimizers import Optimizer
from minicnn.parallel.ranks import TIMEOUT, Ranks
from minicnn.saving.checkpoints import CheckpointFolder
from minicnn.training.batch import Augmentation
from minicnn.training.batches import BatchSource
from minicnn.training.callbacks.base import Callback, check_callbacks
from minicnn.training.evaluation import Metric, Validation, check_metrics, find_loss
from minicnn.training.history import History
from minicnn.training.loop import TrainingLoop
from minicnn.training.lr_finder import RateSearch, find_rate
from minicnn.training.predicting import Predictor
from minicnn.training.progress import Progress
from minicnn.training.resume.checkpointer import Checkpointer
from minicnn.training.safeguards.last_layer import warn_of_last_layer
from minicnn.training.safeguards.rates import warn_of_rates
from minicnn.training.safeguards.rehearsal import rehearse
from minicnn.training.sources import Examples, ExampleSource
from minicnn.training.splitting import prepare_data
from minicnn.training.state import Loss, TrainingState
from minicnn.validation import check_int


class Trainer(Predictor):
    """Fits a model to examples.

    Parameters
    ----------
    model : Layer
        A built model.
    optimizer : Optimizer
        Turns gradients into new weights. It holds state, so it trains one model only.
    loss : callable or str
        `f(predictions, labels) -> (mean value, dpredictions)`, or the name of one of `minicnn.losses`. One
        that takes `sample_weight` returns sum(weight * loss) / N.
    metrics : dict of str to callable, or list, optional
        `f(predictions, labels) -> float` by name, or names of functions of `minicnn.metrics`, which describes
        the attributes that a metric may have. By default the accuracy, for `softmax_cross_entropy`.
    seed : int
        Seed of the augmentation and the order: epoch e has `default_rng([seed, e]).permutation(n)`.
    augment : callable, optional
        `f(images, rng) -> images`, applied to each training batch, see `minicnn.datasets.augment`.
    threads : int, optional
        Number of cores that compute a step, each its shard of the batch. None: all cores available to the
        process, respecting a container's CPU quota (rounded up). The same number of threads gives the same
        numbers, bit for bit; another number, the same up to rounding.
    workers : {"auto", "processes", "threads"}
        What computes the shards but the first: processes, or threads if model or loss cannot be sent to them
        (a warning says why; "processes" is an error then). Other attributes of a layer than its parameters
        stay in the replica of the shard.
    comm : mpi4py.MPI.Comm, optional
        The processes that train this model together, such as `MPI.COMM_WORLD`: each makes the same trainer
        and calls `fit` with the same arguments. Of n ranks, rank r computes rows r, r + n, r + 2n ... of each
        batch, on one thread unless `threads` says more; all get the same weights and history. Metrics that
        declare themselves means must be that, or use `sum_over_batch`. An exception in one rank ends all.
    rank_timeout : float, optional
        Seconds that ranks wait for a missing one before they exit; None: forever.
    callbacks : sequence of Callback
        Called in every `fit`, before those that it is given.

    Attributes
    ----------
    state : TrainingState
        `state.epoch`, `state.step` ...; `state.stop = True`, from anywhere, ends the fit after the step.

    Examples
    --------
    >>> from minicnn import SGD, Dense
    >>> x, y = np.array([[-1.0], [1.0]]), np.array([0, 1])
    >>> trainer = Trainer(Dense(2).build((1,), rng=0), SGD(lr=1.0), seed=0)
    >>> history = trainer.fit(x, y, epochs=20, batch_size=2)
    >>> trainer.evaluate(x, y)["accuracy"]
    1.0
    """

    __slots__ = ("augment", "callbacks", "seed")

    def __init__(
        self,
        model: Layer,
        optimizer: Optimizer,
        loss: Loss | str = softmax_cross_entropy,
        *,
        metrics: Mapping[str, Metric | str] | Sequence[Metric | str] | None = None,
        seed: int = 0,
        augment: Augmentation | None = None,
        threads: int | None = None,
        workers: str = "auto",
        comm: Any = None,
        rank_timeout: float | None = TIMEOUT,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        loss = find_loss(loss)
        state = TrainingState(model, optimizer, loss)
        if augment is not None and not callable(augment):
            raise TypeError(f"`augment` must be a function, see `minicnn.datasets`, got {augment!r}")
        self.seed, self.augment = check_int(seed, "seed"), augment
        threads = None if threads is None else check_int(threads, "threads", low=1)
        self.callbacks = check_callbacks(callbacks)
        state.metrics = check_metrics(metrics, loss)
        super().__init__(state, Ranks(comm, rank_timeout), threads, workers)
        warn_of_last_layer(model, loss)

    def fit(
        self,
        x: np.ndarray | BatchSource | ExampleSource,
        y: np.ndarray | None = None,
        epochs: int = 1,
        batch_size: int = 32,
        *,
        validation_data: Examples | ExampleSource | None = None,
        validation_split: float = 0.0,
        sample_weight: np.ndarray | None = None,
        class_weight: Mapping[int, float] | None = None,
        accumulate_steps: int = 1,
        callbacks: Sequence[Callback] = (),
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_every: int | None = None,
        verbose: int = 1,
    ) -> History:
        """Train for `epochs` more epochs.

        All parts of a fit are made in this one function, in the order in which they need each other.

        Parameters
        ----------
        x : ndarray, shape (N, ...)
            Examples; uint8 images are scaled to [0, 1] batch by batch. Of memory-mapped arrays only the rows
            of a step are read. Or batches (x, y), and then no `y`: a list, another object that can be
            iterated again in each epoch, or a function `f(epoch)` that returns one. A fit that resumes skips
            those that it has seen, so they must come in the same order again. Or an `ImageFolder`.
        y : ndarray, shape (N,) or (N, K)
            Labels in the form that the loss expects.
        epochs : int
            Number of passes over the examples.
        batch_size : int
            Examples in a step; the last step of an epoch has what is left. Ignored if `x` gives batches.
        validation_data : (x, y), (x, y, sample_weight) or ImageFolder, optional
            Evaluated after each epoch, as `val_loss`, `val_accuracy`.
        validation_split : float
            Part of the examples to validate with instead: drawn at random by the trainer's seed, the same
            part of each class. (Keras takes the last rows, which in sorted data are of one class.)
        sample_weight : ndarray, shape (N,), optional
            A weight for each example in the loss, which is sum(weight * loss) / N. Metrics have no weights.
            If `x` gives batches, they may be (x, y, sample_weight).
        class_weight : dict of int to float, optional
            Weights of classes, 1 for those not named; multiplied with `sample_weight`.
        accumulate_steps : int
            Number of batches whose mean gradient makes one step: that of a batch as large as all of them, in
            the memory of one.
        callbacks : sequence of Callback
            Called in this order.
        checkpoint : path, optional
            A folder for checkpoints of this fit. If it holds some, the fit resumes from the newest, so a
            script that was killed is simply started again. With equal data, settings, threads and versions it
            ends with the same weights and history, bit for bit; else it warns of what differs.
        checkpoint_every : int, optional
            Steps between checkpoints, by default an epoch's; there is always one when the fit ends.
        verbose : int
            0: silent. 1: a progress bar in a terminal or notebook, elsewhere a line for each epoch. 2: lines.

        Returns
        -------
        History
            The means of loss and metrics over each epoch's steps.

        Raises
        ------
        FloatingPointError
            If a loss or gradient is not finite; it names the layer. The weights are those before the step.
            Also if weights have become infinite or NaN by the end of an epoch.
        OSError, ValueError, FileFormatError
            If a checkpoint cannot be written, or another process trains into its folder; if it is of another
            fit (other examples, batch size, seed, or weights); if none is whole or can come from such a fit.
        RuntimeError
            If the model is trained in another thread, or was built again.
        """
        batches, validation_data = prepare_data(
            *(x, y, self.model, batch_size, validation_data, validation_split),
            seed=self.seed,
            augment=self.augment,
            sample_weight=sample_weight,
            class_weight=class_weight,
            accumulate_steps=accumulate_steps,
        )
        with self.ranks.abort_on_error():  # a function of the epoch may fail in one rank
            batches.peek(self.epoch)
        epochs = check_int(epochs, "epochs")
        called = [*self.callbacks, *check_callbacks(callbacks)]
        if checkpoint is None and checkpoint_every is not None:
            raise ValueError(f"`checkpoint_every` needs a folder in `checkpoint`, got {checkpoint_every}")
        shape = batches.size, batches.batch_size, batches.unit
        folder = None if checkpoint is None else CheckpointFolder(checkpoint, checkpoint_every)
        with (
            self._parallel(called, batches.is_weighted) as data_parallel,
            folder if folder and self.ranks.rank == 0 else contextlib.nullcontext(),
            Progress(epochs, *shape, verbose, validation_data is not None) as shown,
        ):
            called = [
                callback for callback in [*called, shown] if self.ranks.rank == 0 or callback.every_rank
            ]
            own = self._own_steps()
            rehearse(self.state, batches.labels, validation_data, called, own_results=bool(own))
            warn_of_rates(self.optimizer, epochs, batches.steps)
            self.state.begin_fit()
            fit = self.state, data_parallel, batches
            checkpointer = Checkpointer(*fit, validation_data, folder, called, own) if folder else None
            called = [*called, checkpointer] if checkpointer else called
            validation = Validation(validation_data, self.predict, self.state, self.ranks)
            return TrainingLoop(*fit, validation, called, checkpointer, self.train_epoch).run(epochs)

    def lr_find(
        self,
        x: np.ndarray | BatchSource,
        y: np.ndarray | None = None,
        batch_size: int = 32,
        *,
        low: float = 1e-6,
        high: float = 10.0,
        steps: int = 200,
        sample_weight: np.ndarray | None = None,
        class_weight: Mapping[int, float] | None = None,
    ) -> RateSearch:
        """Find a learning rate: train a copy with growing rates until the loss diverges.

        Parameters
        ----------
        x, y, batch_size, sample_weight, class_weight
            As for `fit`.
        low, high, steps
            The first and the last rate, and the number of steps; it is smaller if the loss diverges.

        Returns a `RateSearch`: `rates`, smoothed `losses`, a `suggestion`. Steps of one's own are not used.
        """
        data = x, y, self.model, batch_size, None, 0.0, sample_weight, class_weight
        batches, _ = prepare_data(*data, seed=self.seed, augment=self.augment)
        return find_rate(self.state, batches, self.threads, self.workers, low, high, steps)
