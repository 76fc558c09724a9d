"""What is the user's code, and what it is called in messages."""

import functools
from typing import Any


def plain_function(function: Any) -> Any:
    """Return the function under `functools.partial`."""
    return function.func if isinstance(function, functools.partial) else function


def unwrapped(function: Any) -> Any:
    """Return the function under `functools.partial` and decorators."""
    while isinstance(function, functools.partial) or hasattr(function, "__wrapped__"):
        function = function.func if isinstance(function, functools.partial) else function.__wrapped__
    return function


def is_own(code: Any) -> bool:
    """Return whether a function, method or class is the user's, and not one of this package."""
    return not getattr(unwrapped(code), "__module__", "").startswith("minicnn.")


def name_of(function: Any) -> str:
    """Return the name of a function, or of the class of another callable."""
    return getattr(function, "__name__", type(function).__name__)
