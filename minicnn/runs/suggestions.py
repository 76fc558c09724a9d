"""Suggestions for misspelt names."""

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests the known word nearest to `word`; empty if none is near.

    Leading dashes and case are ignored. If no word is similar, the first one that `word` begins is suggested.

    >>> did_you_mean("--epoch", ["--epochs", "--lr"])
    "; did you mean '--epochs'?"
    >>> did_you_mean("fly", ["train", "evaluate"])
    ''
    """
    names = {name.lstrip("-"): name for name in known}
    bare = word.lstrip("-").lower()
    starts = [name for name in names if bare and name.startswith(bare)]
    near = difflib.get_close_matches(bare, names, n=1) or starts[:1]
    return f"; did you mean {names[near[0]]!r}?" if near else ""
