"""What is remembered of a model while it exists: what it was trained on, and which warnings it has given."""

import math
import warnings
import weakref
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Notes:
    """What is known of a model's inputs.

    Attributes
    ----------
    trained_range : (float, float) or None
        The lowest and the highest input of its training.
    classes : list of str or None
        Of the folder of pictures that it was trained on.
    warned : set of str
        The kinds of warnings that were given.
    """

    trained_range: tuple[float, float] | None = None
    classes: list[str] | None = None
    warned: set[str] = field(default_factory=set)

    def warn(self, kind: str, message: str, stacklevel: int = 4) -> None:
        """Warn, once for each kind."""
        if kind not in self.warned:
            self.warned.add(kind)
            warnings.warn(message, stacklevel=stacklevel)


_noted: dict[int, Notes] = {}  # by the id of a model, which need not be hashable


def notes_of(model: Any) -> Notes:
    """Return what is known of a model's inputs, to be read and changed."""
    return _noted.get(id(model)) or _keep(model, Notes())


def check_range(value: Any) -> tuple[float, float] | None:
    """Return the range of inputs that a file has, None if it has none; raise ValueError unless it is one.

    >>> check_range([0, 1.0])
    (0.0, 1.0)
    """
    if value is None:
        return None
    numbers = value if isinstance(value, list) and len(value) == 2 else []
    if [type(number) in (int, float) and math.isfinite(number) for number in numbers] != [True, True]:
        raise ValueError(f"`input_range` must be the lowest and the highest input, got {value!r:.80}")
    low, high = map(float, numbers)
    if low > high:
        raise ValueError(f"`input_range` must not begin above its end, got {value!r:.80}")
    return low, high


def share_notes(model: Any, replicas: Iterable[Any]) -> None:
    """Let replicas warn as one with their model."""
    for replica in replicas:
        _keep(replica, notes_of(model))


def _keep(model: Any, notes: Notes) -> Notes:
    if id(model) not in _noted:
        weakref.finalize(model, _noted.pop, id(model), None)
    _noted[id(model)] = notes
    return notes
