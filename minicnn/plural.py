"""Counts in messages."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, in the singular or the plural.

    >>> counted(1, "epoch"), counted(10_000, "image")
    ('1 epoch', '10,000 images')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
