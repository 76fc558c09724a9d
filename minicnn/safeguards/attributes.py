"""Misspelt attributes of the package's objects: Python takes them, and nothing reads them."""

import difflib
import inspect
import warnings
from collections.abc import Iterable, Iterator
from functools import lru_cache
from types import CodeType
from typing import Any

from minicnn.safeguards.user_code import is_own

_NEAR = 0.8  # of 1, for equal names


def warn_of_misspelt(objects: Iterable[Any]) -> None:
    """Warn of attributes that nothing reads, and whose names are near to one that is read.

    Objects of users' classes may have any, and other names may be notes of the user's.
    """
    for obj in objects:
        kind: Any = type(obj)
        if is_own(kind):
            continue
        for name in vars(obj).keys() - _known(kind):
            if near := difflib.get_close_matches(name, _settings(kind), n=1, cutoff=_NEAR):
                problem = f"{kind.__name__} has an attribute {name!r}, which nothing reads"
                warnings.warn(f"{problem}: did you mean {near[0]!r}?", stacklevel=5)


@lru_cache(maxsize=256)
def _settings(kind: type) -> frozenset[str]:
    """Return the names that a user may want to set: arguments, and attributes of the class."""
    attributes = {name for name in dir(kind) if not callable(getattr(kind, name, None))}
    return frozenset({*attributes, *inspect.signature(kind).parameters})


@lru_cache(maxsize=256)
def _known(kind: type) -> frozenset[str]:
    """Return the names of a class, and all that its methods use."""
    codes = (code for cls in kind.__mro__ for value in vars(cls).values() for code in _codes(value))
    return frozenset({*dir(kind), *_settings(kind), *(name for code in codes for name in code.co_names)})


def _codes(value: Any) -> Iterator[CodeType]:
    """Yield the code of a function, of a decorated one, or of a property, and all code inside it."""
    functions = (value.fget, value.fset) if isinstance(value, property) else (value,)
    for function in functions:
        found = getattr(inspect.unwrap(function) if callable(function) else function, "__code__", None)
        todo = [found] if found else []
        while todo:
            code = todo.pop()
            yield code
            todo += [inner for inner in code.co_consts if isinstance(inner, CodeType)]
