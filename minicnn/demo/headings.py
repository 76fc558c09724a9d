"""What the page says of a layer above its picture."""

from typing import Any

from minicnn.layers import Layer

_LONGEST = 200  # characters
_KINDS = {"kernel": "weights", "bias": "biases", "factor": "factors"}


def heading(layer: Layer) -> dict[str, Any]:
    """Return a layer's name, arguments, output shape, and numbers of weights."""
    text = " ".join(repr(layer).split())
    if len(text) > _LONGEST:  # a table of connections, say
        text = f"{text[: _LONGEST - 3].rstrip(', ')} …)"
    return {
        "name": type(layer).__name__,
        "text": text,
        "shape": layer.output_shape,
        "weights": _count_weights(layer),
    }


def _count_weights(layer: Layer) -> dict[str, int]:
    """Return the number of weights of each kind; those inside a Residual are added up by their names."""
    counts: dict[str, int] = {}
    for name, parameter in layer.named_parameters():
        last = name.rsplit(".", 1)[-1]
        kind = _KINDS.get(last, last)
        counts[kind] = counts.get(kind, 0) + parameter.size
    return counts
