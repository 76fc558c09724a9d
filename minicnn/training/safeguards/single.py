"""A batch normalization of single values, which says nothing of its input."""

import math
import warnings

from minicnn.layers import BatchNorm, Layer


def warn_of_single_values(model: Layer, examples: int) -> None:
    """Warn if a batch of this size gives a BatchNorm one value for each channel."""
    for name, layer in model.named_layers():
        is_active = isinstance(layer, BatchNorm) and layer.trainable
        if is_active and examples * math.prod((layer.input_shape or ())[:-1]) == 1:
            warnings.warn(
                f"{name} (BatchNorm) gets one value for each channel in batches of one example, so that its "
                f"output is beta, whatever the input: use a larger `batch_size`, or LayerNorm",
                stacklevel=5,
            )
