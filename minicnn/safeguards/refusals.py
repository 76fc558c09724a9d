"""What is said to a thread that would disturb a fit."""

from typing import Any

FOREIGN = (
    "the model is being trained in another thread: meanwhile call predict, evaluate or save_weights, which "
    "read it between two steps, or change it in a callback"
)


def refusal(taken: Any) -> str:
    """Return why an object cannot be claimed that another fit has."""
    if hasattr(taken, "named_layers"):
        return "the model is already being trained by another fit, perhaps in another thread"
    if hasattr(taken, "dtype"):
        return "the model shares weights with one that is being trained by another fit"
    return (
        f"the {type(taken).__name__} object is already in use by another fit, perhaps in another thread: "
        f"make one for each fit"
    )
