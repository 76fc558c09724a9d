"""The base class of all optimizers: learning rate, weight decay, gradient clipping, state.

The parameters, end to end, are divided into blocks of equal length. A step copies the gradients of one
block, computes the update in that copy, and subtracts it from the weights. So small weights share the
cost of a NumPy call, large ones are processed in blocks that stay in the cache, and besides the state
only two blocks of memory are needed, however large the net.
"""

import contextlib
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

import numpy as np

from minicnn.ops.underflow import HARMLESS
from minicnn.optimizers._checks import check_first_step, check_update, watched_attributes
from minicnn.optimizers._clipping import clip_scale
from minicnn.optimizers._denormals import FLUSH_EVERY, flush_denormals
from minicnn.optimizers._groups import Grouped
from minicnn.optimizers._memory import BLOCK
from minicnn.optimizers._state import OptimizerState
from minicnn.parameter import Parameter
from minicnn.safeguards.claims import check_thread
from minicnn.safeguards.user_code import is_own
from minicnn.schedules import Schedule
from minicnn.validation import check_int, check_real

Rate: TypeAlias = float | Schedule
State: TypeAlias = list[np.ndarray]  # an array per slot


class Optimizer(Grouped, ABC):
    """A rule that updates parameters from their gradients, with its state.

    To write an optimizer, subclass and implement:

    - `__init__`: call `super().__init__(lr, weight_decay, clip_norm)`, and store further arguments under
      their own names, which gives the optimizer its `repr`.
    - `slots`: the names of the state arrays, if any; they start at zero.
    - `decaying_slots`: those that shrink by a constant factor in each step in which the gradient is zero.
      Values below 1e-32 (in float32) may be set to zero there, if that does not change an update.
    - `update(grad, scratch, rate, state)`: return the update, which is subtracted from the weights.

    Parameters
    ----------
    lr : float or callable
        Learning rate, or a function that returns it for the step, counted from 0.
    weight_decay : float
        Decoupled, as in Keras: before each update all weights are multiplied by 1 - rate * weight_decay. If
        the optimizer's `decoupled` is False, weight_decay * weight is added to each gradient instead.
    clip_norm : float, optional
        Upper limit of the Euclidean norm of all gradients together; larger ones are scaled down (Keras's
        `global_clipnorm`). If the norm is not finite, all gradients become NaN.

    Attributes
    ----------
    steps : int
        Number of steps made.
    groups : dict
        What `set_group` was given.
    lr_scale : float
        Factor of the learning rate, 1 at first; callbacks such as `ReduceLROnPlateau` change it, and `lr`
        stays as it was given. Assigning to `lr` sets it to 1.
    """

    slots: tuple[str, ...] = ()
    decaying_slots: tuple[str, ...] = ()
    decoupled: bool = True

    def __init__(self, lr: Rate, weight_decay: float = 0.0, clip_norm: float | None = None) -> None:
        self.lr = lr if callable(lr) else check_real(lr, "lr")
        self.weight_decay = check_real(weight_decay, "weight_decay")
        self.clip_norm = None if clip_norm is None else check_real(clip_norm, "clip_norm", above_low=True)
        self.steps = 0
        self.groups = {}
        self._optimizer_state = OptimizerState()

    @abstractmethod
    def update(self, grad: np.ndarray, scratch: np.ndarray, rate: float, state: State) -> np.ndarray:
        """Return the update of one block of weights, which is subtracted from them.

        Parameters
        ----------
        grad : ndarray, shape (n,)
            A copy of the gradients; may be overwritten and returned.
        scratch : ndarray, shape (n,)
            Memory for intermediate results; may be overwritten and returned.
        rate : float
            The learning rate of this step.
        state : list of ndarray, shape (n,)
            State arrays in the order of `slots`, to be updated in place.
        """

    @property
    def lr(self) -> Rate:
        """The learning rate, or a schedule; assigning another one sets `lr_scale` to 1."""
        return self._lr

    @lr.setter
    def lr(self, lr: Rate) -> None:
        self._lr = lr  # checked at the next step
        self.lr_scale = 1.0

    @property
    def learning_rate(self) -> float:
        """The rate that the next step will use: `lr`, or what it returns for the step, times `lr_scale`."""
        scale = check_real(self.lr_scale, "lr_scale")
        if callable(self.lr):
            return check_real(self.lr(self.steps), f"lr({self.steps})") * scale
        return check_real(self._lr, "lr") * scale

    @learning_rate.setter
    def learning_rate(self, rate: Any) -> None:
        raise AttributeError("`learning_rate` is what the next step uses: assign to `lr`, or to `lr_scale`")

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    @HARMLESS
    def step(self, parameters: Iterable[Parameter | tuple[str, Parameter]]) -> None:
        """Update all trainable parameters from their gradients, which are left unchanged.

        One function, in which the order of all that changes a weight can be read from top to bottom.

        Parameters
        ----------
        parameters : iterable of Parameter, or of (str, Parameter)
            `model.parameters()`; if there are groups, `model.named_parameters()`.
            The same at every call, in the same order; the first call creates the state. That of a parameter
            which is frozen later stays as it is, for the time when it is trained again.

        Raises
        ------
        ValueError
            If no parameter is trainable, the parameters differ from those of the first call, or a schedule
            returns a rate that is negative or not finite. No weight has changed then.
        """
        check_thread(self)
        trainable, memory = self._optimizer_state.prepare(parameters, self.groups, self.slots)
        is_new = not self.steps and is_own(type(self))
        rate = self.learning_rate
        values = [parameter.value.reshape(-1) for parameter in trainable]
        grads = [parameter.grad.reshape(-1) for parameter in trainable]
        scale = 1.0 if self.clip_norm is None else clip_scale(grads, self.clip_norm)
        start = stop = 0
        for segments in memory.blocks:
            size = segments[-1][2].stop
            start, stop = stop, stop + size
            group_rate, decay = self._rate_and_decay(rate, memory.groups[segments[0][0]])
            keep = 1.0 - group_rate * decay if self.decoupled else 1.0
            penalty = 0.0 if self.decoupled else decay
            grad, scratch = memory.buffer[:size], memory.buffer[BLOCK : BLOCK + size]
            np.concatenate([grads[i][part] for i, part, _ in segments], out=grad)
            if scale != 1.0:
                grad *= scale
            if penalty:
                np.concatenate([values[i][part] for i, part, _ in segments], out=scratch)
                scratch *= penalty
                grad += scratch
            state = {slot: flat[start:stop] for slot, flat in memory.arrays.items()}
            if self.steps % FLUSH_EVERY == 0:
                for slot in self.decaying_slots:
                    flush_denormals(state[slot], scratch)
            given = list(state.values())
            with watched_attributes(self) if is_new else contextlib.nullcontext():
                delta = self.update(grad, scratch, group_rate, given)
            check_update(type(self).__name__, delta, grad, given, state)
            for i, part, place in segments:
                value = values[i][part]
                if keep != 1.0:
                    value *= keep
                value -= delta[place]
        if is_new:
            check_first_step(type(self).__name__, memory.arrays, grads)
        self.steps += 1

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return copies of the state arrays in their parameters' shapes, as "0.m", "1.m", ..., "0.v", ...

        The number is the parameter's index. Empty before the first step.
        """
        return self._optimizer_state.copies()

    def load_state_dict(
        self,
        state: Mapping[str, np.ndarray],
        steps: int,
        parameters: Iterable[Parameter | tuple[str, Parameter]],
    ) -> None:
        """Continue, bit for bit, from the state of an optimizer with the same hyper-parameters.

        Parameters
        ----------
        state : mapping from str to ndarray
            Its `state_dict()`.
        steps : int
            Its `steps`.
        parameters : iterable of Parameter, or of (str, Parameter)
            The parameters that the next `step` will update.

        Raises
        ------
        ValueError
            If names, shapes or dtypes do not match the parameters. Nothing has changed then.
        """
        steps = check_int(steps, "steps")
        self._optimizer_state.prepare(parameters, self.groups, self.slots)
        self._optimizer_state.load(state, self.slots, repr(self), is_new=not steps)
        self.steps = steps

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({settings})"
