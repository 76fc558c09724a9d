"""What can be chosen on a page: how an option is described to the page, and read from what the page sends."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from minicnn.validation import check_int, check_real

_LONGEST = 60  # characters of a value


@dataclass(frozen=True)
class Option:
    """A value that is chosen.

    Parameters
    ----------
    label, help : str
        What the page calls it, and the sentence that explains it.
    group : str
        Where the page shows it.
    needs : mapping of str to str
        Values of other options without which this one has no effect.
    """

    label: str
    help: str
    group: str
    needs: Mapping[str, str] = field(default_factory=dict, kw_only=True)

    def read(self, name: str, value: Any) -> Any:
        """Return the value that a text, or a number, stands for; raise a sentence if there is none."""
        raise NotImplementedError

    def describe(self) -> dict[str, Any]:
        """Return the option as the page gets it."""
        return {"label": self.label, "help": self.help, "group": self.group, "needs": dict(self.needs)}


@dataclass(frozen=True)
class Pick(Option):
    """One of several values; each has a label of its own."""

    values: Mapping[str, str]

    def read(self, name: str, value: Any) -> str:
        """Return the value."""
        if not isinstance(value, str) or value not in self.values:
            raise ValueError(f"`{name}` must be one of {', '.join(self.values)}, got {value!s:.40}")
        return value

    def describe(self) -> dict[str, Any]:
        """Return the option with its values and their labels."""
        return super().describe() | {"kind": "pick", "values": list(self.values.items())}

    def with_label(self, value: str, label: str) -> "Pick":
        """Return the option with another label for a value."""
        return replace(self, values={**self.values, value: label})


@dataclass(frozen=True)
class Number(Option):
    """A number in [low, high), or in (low, high) with `above_low`."""

    low: float = 0.0
    high: float = math.inf
    above_low: bool = False

    def read(self, name: str, value: Any) -> float:
        """Return the number."""
        return check_real(_number(name, value, float), name, self.low, self.high, above_low=self.above_low)

    def describe(self) -> dict[str, Any]:
        """Return the option with its limits."""
        return super().describe() | {"kind": "number", "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Whole(Option):
    """An integer in [low, high]."""

    low: int
    high: int

    def read(self, name: str, value: Any) -> int:
        """Return the integer."""
        number = check_int(_number(name, value, int), name, low=self.low)
        if number > self.high:
            raise ValueError(f"`{name}` must be at most {self.high:,}, got more")
        return number

    def describe(self) -> dict[str, Any]:
        """Return the option with its limits."""
        return super().describe() | {"kind": "whole", "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Wholes(Option):
    """At most `most` integers in [1, high], written as 6-16; none at all is an empty text."""

    high: int
    most: int

    def read(self, name: str, value: Any) -> tuple[int, ...]:
        """Return the integers."""
        texts = _text(name, value).split("-") if value != "" else []
        if len(texts) > self.most:
            raise ValueError(f"`{name}` must be at most {self.most} numbers, got {len(texts)}")
        one = Whole(self.label, self.help, self.group, 1, self.high)
        return tuple(one.read(name, text) for text in texts)

    def describe(self) -> dict[str, Any]:
        """Return the option with its limits."""
        return super().describe() | {"kind": "wholes", "high": self.high, "most": self.most}


def written(value: Any) -> str:
    """Return a value as the text that an option reads."""
    if isinstance(value, tuple):
        return "-".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _text(name: str, value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"`{name}` must be a text or a number, got {type(value).__name__}")
    if isinstance(value, int) and abs(value) >= 1 << 64:
        raise ValueError(f"`{name}` must be a number of fewer digits")
    return f"{value}"


def _number(name: str, value: Any, kind: type) -> Any:
    text = _text(name, value)
    try:
        return kind(text[:_LONGEST])
    except ValueError:
        what = "a number" if kind is float else "an integer"
        raise ValueError(f"`{name}` must be {what}, got {text!s:.40}") from None
