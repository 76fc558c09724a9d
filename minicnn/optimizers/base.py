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
from typing import Any, Self, TypeAlias

import numpy as np

from minicnn.ops.underflow import HARMLESS
from minicnn.optimizers._checks import check_first_step, check_update, watched_attributes
from minicnn.optimizers._clipping import clip_scale
from minicnn.optimizers._groups import Settings, find_groups
from minicnn.optimizers._memory import BLOCK, Layout, Memory, describe_layout
from minicnn.parameter import Parameter
from minicnn.schedules import Schedule
from minicnn.validation import check_int, check_real

# The weights of a unit that is never active have no gradient, so a running mean of their gradients decays, by
# a tenth in each step, until it is denormal: below the smallest normal number (1e-38 in float32). Processors
# are many times slower with such numbers: after 1,800 steps of LeNet-5 a third of Adam's means were denormal,
# and a step took six times as long. So values close to that limit are set to zero.
FLUSH_EVERY = 16  # steps
DENORMAL_MARGIN = 2.0**20  # times the smallest normal number: more than the decay between two flushes

Rate: TypeAlias = float | Schedule
State: TypeAlias = list[np.ndarray]  # an array per slot


class Optimizer(ABC):
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
        self.groups: dict[str, dict[str, float]] = {}
        self._memory: Memory | None = None  # until the parameters are known
        self._layout: Layout = []  # of all parameters, trainable or not
        self._frozen_state: dict[str, np.ndarray] = {}  # of parameters that were trained before

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

    def settings(self) -> dict[str, Any]:
        """Return the constructor's arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_group(
        self, pattern: str, lr_scale: float | None = None, weight_decay: float | None = None
    ) -> Self:
        """Give the parameters whose names match a pattern another rate or decay; return the optimizer.

        Parameters
        ----------
        pattern : str
            As of a shell: "*.bias" is every bias, "layers.0.*" all of the first layer. Of several patterns
            that match a name, the last one that was given counts for each setting.
        lr_scale : float, optional
            Factor of the learning rate.
        weight_decay : float, optional
            In place of the optimizer's.

        Examples
        --------
        No decay of biases and of BatchNorm, and a tenth of the rate in the trunk of a `Sequential`:

        >>> from minicnn import AdamW
        >>> optimizer = AdamW(1e-3, weight_decay=0.01)
        >>> for name in ("bias", "gamma", "beta"):
        ...     optimizer = optimizer.set_group(f"*.{name}", weight_decay=0.0)
        >>> optimizer = optimizer.set_group("layers.0.*", lr_scale=0.1)
        """
        given = {"lr_scale": lr_scale, "weight_decay": weight_decay}
        settings = {name: check_real(value, name) for name, value in given.items() if value is not None}
        self.groups = {name: old for name, old in self.groups.items() if name != pattern} | {
            pattern: settings
        }
        return self

    @HARMLESS
    def step(self, parameters: Iterable[Parameter | tuple[str, Parameter]]) -> None:
        """Update all trainable parameters from their gradients, which are left unchanged.

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
        trainable, memory = self._prepare(parameters)
        is_new = not self.steps and not type(self).__module__.startswith("minicnn.")
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
                    _flush_denormals(state[slot], scratch)
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
        views = dict(self._memory.named_views()) if self._memory else {}
        return {name: view.copy() for name, view in (views | self._frozen_state).items()}

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
        views = dict(self._prepare(parameters)[1].named_views())
        if not steps and not state:
            state = {name: np.zeros_like(view) for name, view in views.items()}
        known = {
            f"{i}.{slot}": np.broadcast_to(dtype.type(0), shape)
            for i, shape, dtype in self._layout
            for slot in self.slots
        }
        if not views.keys() <= state.keys() <= known.keys():
            missing, unexpected = sorted(views.keys() - state.keys()), sorted(state.keys() - known.keys())
            raise ValueError(f"the state does not match {self!r}: missing {missing}, unexpected {unexpected}")
        for name, array in state.items():
            expected = known[name]
            if (array.shape, array.dtype) != (expected.shape, expected.dtype):
                raise ValueError(
                    f"{name!r} must have shape {expected.shape} and dtype {expected.dtype}, "
                    f"got {array.shape} and {array.dtype}"
                )
        self._take_over(state)
        self.steps = steps

    def _rate_and_decay(self, rate: float, group: Settings) -> tuple[float, float]:
        settings = dict(group)
        return rate * settings.get("lr_scale", 1.0), settings.get("weight_decay", self.weight_decay)

    def _prepare(self, given: Iterable[Parameter | tuple[str, Parameter]]) -> tuple[list[Parameter], Memory]:
        """Return the trainable parameters, by groups, and the memory made for their layout."""
        parameters, settings = find_groups(list(given), self.groups)
        every = [(i, parameter.shape, parameter.dtype) for i, parameter in enumerate(parameters)]
        layout = [each for each, parameter in zip(every, parameters, strict=True) if parameter.trainable]
        if self._memory is not None and every != self._layout:
            raise ValueError(
                f"this optimizer holds state for parameters {describe_layout(self._layout)}, "
                f"got {describe_layout(every)}; make a new optimizer to train other parameters"
            )
        groups = {i: settings[i] for i, _, _ in layout}
        layout = sorted(layout, key=lambda each: (groups[each[0]], each[0])) if self.groups else layout
        if self._memory is None or (layout, [*groups.values()]) != (self._memory.layout, self._memory.given):
            # The first step, or other parameters are frozen, or in other groups.
            memory, state = Memory(layout, self.slots, groups), self.state_dict()
            self._memory, self._layout = memory, every
            self._take_over(state)
        return [parameters[i] for i, _, _ in layout], self._memory

    def _take_over(self, state: Mapping[str, np.ndarray]) -> None:
        """Copy the state of trainable parameters into the memory, and keep that of the others."""
        views = dict(self._memory.named_views()) if self._memory else {}
        for name in views.keys() & state.keys():
            views[name][...] = state[name]
        self._frozen_state = {name: array.copy() for name, array in state.items() if name not in views}

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={value!r}" for name, value in self.settings().items())
        return f"{type(self).__name__}({settings})"


def _flush_denormals(state: np.ndarray, scratch: np.ndarray) -> None:
    """Set values that are almost denormal to zero; overwrites `scratch`."""
    state[np.abs(state, out=scratch) < DENORMAL_MARGIN * np.finfo(state.dtype).tiny] = 0
