"""The state of a training between two steps: what the loop advances, callbacks see and checkpoints hold."""

import contextlib
import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.losses import softmax_cross_entropy
from minicnn.optimizers import Optimizer
from minicnn.parallel.ranks import Ranks
from minicnn.parameter import ForeignSwitch
from minicnn.safeguards.nonfinite import nonfinite_weights
from minicnn.safeguards.notes import check_range, notes_of
from minicnn.safeguards.returned_loss import require_number
from minicnn.training.history import History

# What JSON can hold as it is.
_PLAIN = ("epoch", "first_epoch", "step", "seen", "batches", "sums", "counts", "stop")
Loss = Callable[[np.ndarray, np.ndarray], tuple[float, np.ndarray]]


@dataclass(eq=False)
class TrainingState:
    """The model, the optimizer, and how far the training is.

    Attributes
    ----------
    model : Layer
        The model, trained in place.
    optimizer : Optimizer
        `optimizer.steps` counts the steps of all fits.
    loss : callable
        `f(predictions, labels) -> (mean value, dpredictions)`.
    epoch : int
        Number of the epoch that runs or comes next; it counts on from one fit to the next.
    first_epoch : int
        Number of the first epoch of the present fit.
    step : int
        Batches of the epoch that runs whose steps are made.
    seen : int
        Examples in these batches.
    batches : int
        Batches of all epochs whose steps are made.
    sums, counts : dict of str to float, dict of str to int
        Sums of loss and metrics over the examples of the epoch, and how many these are.
    outputs : list of (predictions, labels)
        Of these examples, if a metric is no mean over examples.
    output : (predictions, labels), optional
        Those of the step that runs.
    nonfinite_before : list of str
        Weights that are infinite or NaN before the first step of the fit: a frozen -inf may exclude a class.
    metrics : dict of str to callable
        The trainer's.
    history : History
        The completed epochs of the present fit.
    stop : bool
        Set it to True, from a callback or another thread, to end the fit after the step that runs.
    interrupted : bool
        The same, but for now only: the next fit with the same checkpoint folder continues from there.
    by_hand : bool
        Whether steps are made in a session, without `fit`.
    """

    model: Layer
    optimizer: Optimizer
    loss: Loss
    epoch: int = 0
    first_epoch: int = 0
    step: int = 0
    seen: int = 0
    batches: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    outputs: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    output: tuple[np.ndarray, np.ndarray] | None = None
    nonfinite_before: list[str] = field(default_factory=list)
    metrics: Mapping[str, Callable] = field(default_factory=dict)
    history: History = field(default_factory=History)
    stop: bool = False
    interrupted: bool = False
    by_hand: bool = False
    has_batch: bool = False  # whether the loop has given a batch whose step may be recorded
    agreed_to_stop: bool = False  # of several ranks, none may stop alone
    update_checked: bool = False  # whether the first step of this trainer was looked at

    stop_training = ForeignSwitch("set `stop = True` to end the fit after this step")

    def __post_init__(self) -> None:
        if not isinstance(self.model, Layer):
            raise TypeError(f"`model` must be a Layer object such as a Sequential, got {self.model!r}")
        if self.model.input_shape is None:
            raise RuntimeError("the model is not built: call build(input_shape) before training it")
        self.model.refuse_tied_weights()
        for name, layer in (("the model", self.model), *self.model.named_layers()):
            if unfit := layer.unbuilt_part():
                raise RuntimeError(
                    f"in {name} ({type(layer).__name__}), {unfit} was replaced: call "
                    f"build({self.model.input_shape}) again"
                )
        if not isinstance(self.optimizer, Optimizer):
            raise TypeError(f"`optimizer` must be an Optimizer object such as Adam(), got {self.optimizer!r}")
        if not callable(self.loss):
            raise TypeError(f"`loss` must be a function, see `minicnn.losses`, got {self.loss!r}")
        if self.loss is softmax_cross_entropy and self.model.output_shape == (1,):
            raise ValueError(
                "`model` must have at least two outputs for softmax_cross_entropy, which is always 0 for a "
                "single one: use Dense(2), or loss=binary_cross_entropy_with_logits with labels of shape "
                "(N, 1)"
            )

    def begin_fit(self) -> None:
        """Start a fit at the next epoch, with an empty history."""
        self.first_epoch, self.history = self.epoch, History()
        self._start_epoch()
        self.by_hand = self.has_batch = False  # a copy that was made in a session has them
        self.output, self.stop, self.interrupted, self.agreed_to_stop = None, False, False, False

    def newly_nonfinite(self) -> list[str]:
        """Return the weights that have become infinite or NaN during the fit."""
        return [name for name in nonfinite_weights(self.model) if name not in self.nonfinite_before]

    def agree(self, stop: float, interrupted: float) -> None:
        """Take over what the ranks together want."""
        self.agreed_to_stop = bool(stop or interrupted)
        self.stop |= bool(stop)
        self.interrupted |= bool(interrupted)

    def sync_stop(self, ranks: Ranks) -> None:
        """Learn whether a callback or a signal in any rank wants to stop."""
        if ranks.size > 1:
            wishes = ranks.all_gather((self.stop, self.interrupted))
            self.agree(*map(any, zip(*wishes, strict=True)))

    def begin_epoch(self) -> None:
        """Forget the steps so far; without effect in a fit, which may resume in the middle of an epoch."""
        if self.by_hand:
            self._start_epoch()

    @contextlib.contextmanager
    def giving(self, examples: int) -> Iterator[None]:
        """Let the step of a batch be made in the block, then count the batch."""
        made, recorded = self.optimizer.steps, self.counts.copy()
        self.has_batch = True
        try:
            yield
        finally:
            self.has_batch = False
        if self.optimizer.steps > made and self.counts == recorded:
            raise RuntimeError(
                "`train_epoch` made a step, but did not record it: call "
                "`self.state.record(results, batch.size)` after each step, before the next batch is taken"
            )
        self.step += 1
        self.seen += examples
        self.batches += 1

    def record(self, results: Mapping[str, float], examples: int) -> None:
        """Add the mean results of a step over its examples to those of the epoch."""
        if not (self.has_batch or self.by_hand):
            raise RuntimeError(
                "`train_epoch` made a step without a batch: the step of each batch must be made before the "
                "next one is taken, or a fit could not resume in between"
            )
        if not isinstance(results, Mapping):
            raise TypeError(
                f"`train_step` must return loss and metrics by name, as `compute` does, got {results!r:.50}"
            )
        for name, value in results.items():
            require_number(value, f"the result {name!r} of a step must be a number")
        self.step += self.by_hand
        self.outputs += [self.output] if self.output else []
        self.output = None
        for name, value in results.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value) * examples
            self.counts[name] = self.counts.get(name, 0) + examples

    def means(self) -> dict[str, float]:
        """Return the means of loss and metrics over the epoch so far."""
        return {name: total / self.counts[name] for name, total in self.sums.items()}

    def close_epoch(self, logs: Mapping[str, float]) -> None:
        """Append the epoch to the history, and advance to the next one."""
        self.history.append(self.epoch, logs)
        self.epoch += 1
        self._start_epoch()

    def _start_epoch(self) -> None:
        self.step, self.seen, self.sums, self.counts, self.outputs = 0, 0, {}, {}, []

    def all_outputs(self, ranks: Ranks) -> tuple[np.ndarray, np.ndarray]:
        """Return the predictions and labels of the epoch so far, in the order of the steps."""
        gathered = zip(*ranks.all_gather(self.outputs), strict=True)
        pairs = [pair for step in gathered for pair in step if len(pair[1])]
        if not pairs:
            return np.empty(0), np.empty(0)
        predictions, labels = zip(*pairs, strict=True)
        return np.concatenate(predictions), np.concatenate(labels)

    def arrays(self) -> dict[str, np.ndarray]:
        """Return the weights and the optimizer's state by name."""
        weights = {f"model.{name}": parameter.value for name, parameter in self.model.named_parameters()}
        return weights | {f"optimizer.{name}": a for name, a in self.optimizer.state_dict().items()}

    def values(self) -> dict[str, Any]:
        """Return everything else, as JSON can hold it."""
        plain = {name: getattr(self, name) for name in _PLAIN}
        optimizer = {"steps": self.optimizer.steps, "lr_scale": self.optimizer.lr_scale}
        known = notes_of(self.model).trained_range
        input_range = None if known is None else list(known)
        return plain | {
            "history": asdict(self.history),
            "optimizer": optimizer,
            "input_range": input_range,
        }

    def load(self, arrays: Mapping[str, np.ndarray], values: Mapping[str, Any]) -> None:
        """Take over what `arrays` and `values` returned; on an error nothing has changed.

        Raises
        ------
        ValueError
            If the optimizer's arrays do not fit its parameters.
        """
        own = {name.removeprefix("optimizer."): a for name, a in arrays.items() if name[:10] == "optimizer."}
        self.optimizer.load_state_dict(own, values["optimizer"]["steps"], list(self.model.named_parameters()))
        self.optimizer.lr_scale = values["optimizer"]["lr_scale"]
        self.model.set_weights([arrays[f"model.{name}"] for name, _ in self.model.named_parameters()])
        vars(self).update({name: copy.copy(values[name]) for name in _PLAIN})
        self.history = History(**values["history"])
        notes_of(self.model).trained_range = check_range(values["input_range"])
