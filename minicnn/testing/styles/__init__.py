"""Right layers in many styles, as people write them: the kit must not refuse one.

`STYLES` maps a name to a `Style`: the layer, an input shape, and the remark that it gets, if any.
"""

# Importing these modules fills STYLES.
from minicnn.testing.styles import (  # noqa: F401
    chance,
    channels_first,
    choices,
    conventions,
    curves,
    loops,
    mixing,
    neighbours,
    noise,
    normalizations,
    package,
    state,
    steps,
    surrogates,
)
from minicnn.testing.styles.style import STYLES, Style

__all__ = ["STYLES", "Style"]
