"""A weight of a layer: one buffer for its value, and its accumulated gradient."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

from minicnn.validation import check_numbers


class ForeignSwitch:
    """An attribute of another framework: setting it warns that it does nothing here, and says what does."""

    def __init__(self, remedy: str = "set `trainable = False` to freeze a {kind}") -> None:
        self.remedy = remedy

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, obj: Any, owner: type | None = None) -> Any:
        if obj is None or self.name not in vars(obj):
            raise AttributeError(self.name)
        return vars(obj)[self.name]

    def __set__(self, obj: Any, value: Any) -> None:
        warnings.warn(
            f"`{self.name}` has no effect in minicnn: {self.remedy.format(kind=type(obj).__name__)}",
            stacklevel=2,
        )
        vars(obj)[self.name] = value  # a layer of the user may have an argument of this name


class Parameter:
    """A weight: its value, and the gradient of the loss with respect to it.

    The value stays in one buffer: assigning to `value` copies into it, so replicas of a model, optimizers
    and other holders of the buffer see the change.

    Parameters
    ----------
    value : array_like of float
        The initial value; copied.
    trainable : bool
        False for a frozen weight, and for state that is saved with the weights but never changed by an
        optimizer (the running statistics of `BatchNorm`).

    Attributes
    ----------
    frozen : bool
        Whether `layer.trainable = False` has frozen it.

    Examples
    --------
    >>> p = Parameter([1.0, 2.0])
    >>> p.add_grad(np.ones(2))
    >>> p.add_grad(np.ones(2))
    >>> p.grad
    array([2., 2.])
    """

    requires_grad = ForeignSwitch()
    stop_gradient = ForeignSwitch()

    def __init__(self, value: Any, trainable: bool = True) -> None:
        value = np.array(check_numbers(value, "value"), order="C")
        self._value = value if np.issubdtype(value.dtype, np.floating) else value.astype(np.float64)
        self._grad: np.ndarray | None = None
        self._trainable, self.frozen = trainable, False

    @property
    def trainable(self) -> bool:
        """Whether gradients are added, and an optimizer changes it; True thaws a frozen one."""
        return self._trainable and not self.frozen

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        self._trainable = trainable
        self.frozen = self.frozen and not trainable

    @property
    def value(self) -> np.ndarray:
        """The weight's array; assigning copies into it and requires the exact shape."""
        return self._value

    @value.setter
    def value(self, new: Any) -> None:
        new = np.asarray(check_numbers(new, "value"))
        if new.shape != self.shape:
            raise ValueError(f"`value` must have the parameter's shape {self.shape}, got {new.shape}")
        self._value[...] = new

    @property
    def grad(self) -> np.ndarray:
        """The accumulated gradient, of the value's shape and dtype; zeros until one is added."""
        if self._grad is None:
            self._grad = np.zeros_like(self._value)
        return self._grad

    def add_grad(self, grad: np.ndarray) -> None:
        """Add `grad` to the accumulated gradient; that of a weight that is not trainable stays zero.

        Raises
        ------
        ValueError
            If the shapes differ: a gradient that needs broadcasting is wrong.
        """
        if np.shape(grad) != self.shape:
            raise ValueError(f"`grad` must have the parameter's shape {self.shape}, got {np.shape(grad)}")
        if self.trainable:
            self.grad.__iadd__(grad)

    def zero_grad(self) -> None:
        """Set the accumulated gradient to zero."""
        if self._grad is not None:
            self._grad.fill(0.0)

    def cast(self, dtype: np.dtype) -> None:
        """Change the dtype of the value and drop the gradient; called only by `Layer.build`, once."""
        self._value = self._value.astype(dtype, copy=False)
        self._grad = None

    def replica(self, shared: bool = True) -> Parameter:
        """Return a parameter with the same value buffer, or a copy of it, and a gradient of its own."""
        twin = Parameter.__new__(Parameter)
        twin._value, twin._grad = self._value if shared else self._value.copy(), None
        twin.share_mode(self)
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        # What `copy` does for any object, in half of the time.
        memo[id(self)] = twin = Parameter.__new__(type(self))
        vars(twin).update({name: copy.deepcopy(value, memo) for name, value in vars(self).items()})
        return twin

    def share_mode(self, other: Parameter) -> None:
        """Be trainable or frozen as another parameter is."""
        self._trainable, self.frozen = other._trainable, other.frozen

    @property
    def is_statistic(self) -> bool:
        """Whether `forward` may change it: neither trainable nor frozen."""
        return not (self._trainable or self.frozen)

    def rebind(self, value: np.ndarray | None, grad: np.ndarray) -> None:
        """Use these arrays, as they are, for the gradient and, if one is given, for the value.

        Only for replicas: other holders of a weight's buffer would keep the old one.
        """
        self._value, self._grad = self._value if value is None else value, grad

    @property
    def shape(self) -> tuple[int, ...]:
        """The value's shape."""
        return self._value.shape

    @property
    def size(self) -> int:
        """The number of values."""
        return self._value.size

    @property
    def dtype(self) -> np.dtype:
        """The value's dtype."""
        return self._value.dtype

    def __repr__(self) -> str:
        frozen = "" if self.trainable else ", trainable=False"
        return f"Parameter(shape={self.shape}, dtype={self.dtype}{frozen})"
