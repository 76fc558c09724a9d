"""Suggestions for misspelt names."""

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the end of a message that suggests the known word nearest to `word`; empty if none is near.

    Leading dashes and case are ignored. If no word is similar, it is the first one that begins
    with `word`, or contains it.

    >>> did_you_mean("--epoch", ["--epochs", "--lr"])
    "; did you mean '--epochs'?"
    >>> did_you_mean("fly", ["train", "evaluate"])
    ''
    """
    import difflib  # imported here to keep `import minicnn` fast

    names = {name.lstrip("-"): name for name in known}
    bare = word.lstrip("-").lower()
    longer = [name for name in names if bare and bare in name]
    starts = [name for name in longer if name.startswith(bare)]
    near = difflib.get_close_matches(bare, names, n=1) or starts or longer
    return f"; did you mean {names[near[0]]!r}?" if near else ""
