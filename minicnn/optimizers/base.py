"""What all optimizers share: walking over the parameters, learning rate, decay, clipping, state.

The parameters are laid end to end and cut into blocks of equal length. A step copies one block of
gradients, turns that copy into the update, and subtracts it from the weights. So all small weights
share the cost of a NumPy call, a large one is worked on in pieces that stay in the cache, and beside
the state there is only the room of two blocks, however large the net.
"""

from __future__ import annotations

import inspect
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from minicnn.ops.memory import aligned_zeros
from minicnn.parameter import Parameter
from minicnn.schedules import Schedule
from minicnn.validation import check_int, check_real

# The weights of a unit that is never active have no gradient, and what is remembered of their last one fades
# by a tenth in each step, until it is smaller than the smallest normal number (1e-38 in float32). With such
# numbers a processor computes many times more slowly. After 1,800 steps of LeNet-5 a third of Adam's means
# were so small, and a step of it took six times as long. So what has nearly faded becomes zero.
FLUSH_EVERY = 16  # steps
DENORMAL_MARGIN = 2.0**20  # times that smallest number; more than what fades within so many steps

BLOCK = 1 << 16  # values: few NumPy calls, and five arrays of it (float32) still fit into a usual L2 cache

Rate: TypeAlias = float | Schedule
_Layout: TypeAlias = list[tuple[tuple[int, ...], np.dtype]]  # shape and dtype of each parameter
_Segment: TypeAlias = tuple[int, slice, slice]  # which parameter, which part of it, where in the block


class Optimizer(ABC):
    """A rule that updates parameters, with its state: a few numbers per weight.

    To write an optimizer, subclass and implement:

    - `__init__`: call `super().__init__(lr, weight_decay, clip_norm)`, and store further arguments under
      their own names, which gives the optimizer its `repr`.
    - `slots`: the names of the state arrays, if there are any; they start at zero.
    - `decaying_slots`: those of them that shrink by a constant factor in each step where the gradient is
      zero. Values below 1e-32 (in float32) may be set to zero there without changing an update.
    - `update(grad, scratch, rate, state)`: return what is to be subtracted from the weights.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a function that returns it for the step, counted from 0.
    weight_decay : float
        Decoupled, as Keras's: before each update all weights are multiplied by 1 - rate * weight_decay. (An
        optimizer whose `decoupled` is False adds weight_decay * weight to each gradient instead.)
    clip_norm : float, optional
        Gradients are scaled down together so that their joint Euclidean norm is at most this: Keras's
        `global_clipnorm`. If the norm is not finite, all gradients become NaN.

    Attributes
    ----------
    steps : int
        How many steps were made.
    """

    slots: tuple[str, ...] = ()
    decaying_slots: tuple[str, ...] = ()
    decoupled: bool = True

    def __init__(self, lr: Rate, weight_decay: float = 0.0, clip_norm: float | None = None) -> None:
        self.lr = lr if callable(lr) else check_real(lr, "lr")
        self.weight_decay = check_real(weight_decay, "weight_decay")
        self.clip_norm = None if clip_norm is None else check_real(clip_norm, "clip_norm", above_low=True)
        self.steps = 0
        self._layout: _Layout = []
        self._state: dict[str, np.ndarray] = {}

    @abstractmethod
    def update(
        self, grad: np.ndarray, scratch: np.ndarray, rate: float, state: list[np.ndarray]
    ) -> np.ndarray:
        """Return what is to be subtracted from the weights, for one block of them.

        Parameters
        ----------
        grad : ndarray, shape (n,)
            A copy of the gradients: may be overwritten, and returned.
        scratch : ndarray, shape (n,)
            Room for intermediate results: may be overwritten, and returned.
        rate : float
            The learning rate of this step.
        state : list of ndarray, shape (n,)
            In the order of `slots`; to be changed in place.
        """

    @property
    def learning_rate(self) -> float:
        """The rate that the next step will use."""
        if callable(self.lr):
            return check_real(self.lr(self.steps), f"lr({self.steps})")
        return check_real(self.lr, "lr")

    def step(self, parameters: Iterable[Parameter]) -> None:
        """Update all trainable parameters from their gradients, which stay as they are.

        Parameters
        ----------
        parameters : iterable of Parameter
            The same at every call, in the same order; the first call makes the state.

        Raises
        ------
        ValueError
            If there is nothing to train, the parameters are not those of the first call, or a schedule
            returned a rate that is negative or not finite. No weight has changed then.
        """
        trainable = self._lay_out(parameters)
        rate = self.learning_rate
        values = [parameter.value.reshape(-1) for parameter in trainable]
        grads = [parameter.grad.reshape(-1) for parameter in trainable]
        scale = 1.0 if self.clip_norm is None else _clip_scale(grads, self.clip_norm)
        keep = 1.0 - rate * self.weight_decay if self.decoupled else 1.0
        penalty = 0.0 if self.decoupled else self.weight_decay
        for number, pieces in enumerate(self._blocks):
            size = pieces[-1][2].stop
            start = number * BLOCK
            grad, scratch = self._buffer[:size], self._buffer[BLOCK : BLOCK + size]
            np.concatenate([grads[i][part] for i, part, _ in pieces], out=grad)
            if scale != 1.0:
                grad *= scale
            if penalty:
                np.concatenate([values[i][part] for i, part, _ in pieces], out=scratch)
                scratch *= penalty
                grad += scratch
            state = [flat[start : start + size] for flat in self._state.values()]
            if self.steps % FLUSH_EVERY == 0:
                for slot, block in zip(self._state, state, strict=True):
                    if slot in self.decaying_slots:
                        _flush_denormals(block, scratch)
            delta = self.update(grad, scratch, rate, state)
            for i, part, place in pieces:
                value = values[i][part]
                if keep != 1.0:
                    value *= keep
                value -= delta[place]
        self.steps += 1

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the state arrays in their parameters' shapes, "0.m", "1.m", ..., "0.v" ...

        The number is the parameter's place among the trainable ones. Empty before the first step.
        """
        return {name: view.copy() for name, view in self._named_state()}

    def load_state_dict(
        self, state: Mapping[str, np.ndarray], steps: int, parameters: Iterable[Parameter]
    ) -> None:
        """Go on where an optimizer with the same hyper-parameters stood, bit for bit.

        Parameters
        ----------
        state : mapping from str to ndarray
            What its `state_dict()` returned.
        steps : int
            Its `steps`.
        parameters : iterable of Parameter
            Those that the next `step` will be given.

        Raises
        ------
        ValueError
            If names, shapes or dtypes are not those that the parameters need. Nothing has changed then.
        """
        steps = check_int(steps, "steps")
        self._lay_out(parameters)
        views = dict(self._named_state())
        if not steps and not state:
            state = {name: np.zeros_like(view) for name, view in views.items()}
        if views.keys() != state.keys():
            missing, unexpected = sorted(views.keys() - state.keys()), sorted(state.keys() - views.keys())
            raise ValueError(
                f"the state must be that of {self!r}, but {missing} are missing and {unexpected} unexpected"
            )
        for name, view in views.items():
            if (state[name].shape, state[name].dtype) != (view.shape, view.dtype):
                raise ValueError(
                    f"{name!r} must have shape {view.shape} and dtype {view.dtype}, "
                    f"got {state[name].shape} and {state[name].dtype}"
                )
        for name, view in views.items():
            view[...] = state[name]
        self.steps = steps

    def _lay_out(self, parameters: Iterable[Parameter]) -> list[Parameter]:
        """Return the trainable parameters; make their state, or see that it was made for such as these."""
        trainable = [parameter for parameter in parameters if parameter.trainable]
        layout = [(parameter.shape, parameter.dtype) for parameter in trainable]
        if not self._layout:
            self._make_state(layout)
        elif layout != self._layout:
            raise ValueError(
                f"an optimizer must be given the same parameters at every step: it began with "
                f"{_describe(self._layout)}, got {_describe(layout)}; to train others, make a new optimizer"
            )
        return trainable

    def _make_state(self, layout: _Layout) -> None:
        if len({dtype for _, dtype in layout}) != 1:
            raise ValueError(
                f"an optimizer must be given trainable parameters, all of one dtype, got {_describe(layout)}"
            )
        sizes, dtype = [math.prod(shape) for shape, _ in layout], layout[0][1]
        self._blocks = _cut(sizes)
        self._state = {slot: aligned_zeros(sum(sizes), dtype) for slot in self.slots}
        self._buffer = aligned_zeros(2 * BLOCK, dtype)
        self._layout = layout  # last: if there was too little memory, nothing is remembered

    def _named_state(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each parameter's part of the state, as a view."""
        for slot, flat in self._state.items():
            start = 0
            for i, (shape, _) in enumerate(self._layout):
                stop = start + math.prod(shape)
                yield f"{i}.{slot}", flat[start:stop].reshape(shape)
                start = stop

    def __repr__(self) -> str:
        names = inspect.signature(type(self)).parameters
        return f"{type(self).__name__}({', '.join(f'{name}={getattr(self, name)!r}' for name in names)})"


def _flush_denormals(state: np.ndarray, scratch: np.ndarray) -> None:
    """Set to zero what is so small that computing with it will soon be slow; overwrites `scratch`."""
    state[np.abs(state, out=scratch) < DENORMAL_MARGIN * np.finfo(state.dtype).tiny] = 0


def _describe(layout: _Layout) -> str:
    return ", ".join(f"{shape} {dtype}" for shape, dtype in layout) or "none"


def _clip_scale(grads: list[np.ndarray], clip_norm: float) -> float:
    """Return the factor that makes the gradients' joint norm at most `clip_norm`."""
    norm = math.sqrt(sum(float(np.vdot(grad, grad)) for grad in grads))
    if not math.isfinite(norm):  # perhaps only the squares overflowed
        largest = max(float(np.abs(grad).max(initial=0.0)) for grad in grads)
        if not math.isfinite(largest):
            return math.nan
        norm = largest * math.sqrt(sum(float(np.square(grad / largest).sum()) for grad in grads))
    return clip_norm / max(norm, clip_norm) if math.isfinite(norm) else math.nan


def _cut(sizes: Iterable[int], block: int = BLOCK) -> list[list[_Segment]]:
    """Lay parameters of these sizes end to end, and cut the line into blocks.

    >>> _cut([3, 4], block=5)
    [[(0, slice(0, 3, None), slice(0, 3, None)), (1, slice(0, 2, None), slice(3, 5, None))],
     [(1, slice(2, 4, None), slice(0, 2, None))]]
    """
    blocks: list[list[_Segment]] = []
    used = block
    for i, size in enumerate(sizes):
        done = 0
        while done < size:
            if used == block:
                blocks.append([])
                used = 0
            take = min(size - done, block - used)
            blocks[-1].append((i, slice(done, done + take), slice(used, used + take)))
            done, used = done + take, used + take
    return blocks
