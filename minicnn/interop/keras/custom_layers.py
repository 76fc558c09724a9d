"""Layers that Keras lacks, and Keras classes by name."""

from typing import Any

import keras


@keras.saving.register_keras_serializable("minicnn")
class LocalResponseNorm(keras.layers.Layer):
    """The twin of `minicnn.LocalResponseNorm`, with the same arguments.

    It uses Keras operations, since `tf.nn.local_response_normalization` has no float64. To load a `.keras`
    file that contains this layer, import `minicnn.interop.keras` first.

    Parameters
    ----------
    size : int, odd
    k, alpha, beta : float
        See `minicnn.LocalResponseNorm`.
    """

    def __init__(
        self, size: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75, **options: Any
    ) -> None:
        super().__init__(**options)
        self.size, self.k, self.alpha, self.beta = size, k, alpha, beta

    def call(self, x: Any) -> Any:
        """Return the normalised images, (N, H, W, C)."""
        side, channels = self.size // 2, x.shape[-1]
        squares = keras.ops.pad(keras.ops.square(x), [(0, 0)] * 3 + [(side, side)])
        sums = sum(squares[..., i : i + channels] for i in range(self.size))
        return x / (self.k + self.alpha * sums) ** self.beta

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for Keras's files."""
        settings = {"size": self.size, "k": self.k, "alpha": self.alpha, "beta": self.beta}
        return {**super().get_config(), **settings}


@keras.saving.register_keras_serializable("minicnn")
class GELU(keras.layers.Layer):
    """The twin of `minicnn.GELU`, as a layer: Keras has it as a function only, whose setting is not saved.

    Parameters
    ----------
    approximate : bool
        See `minicnn.GELU`.
    """

    def __init__(self, approximate: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.approximate = approximate

    def call(self, x: Any) -> Any:
        """Return the activations."""
        return keras.activations.gelu(x, approximate=self.approximate)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments, for Keras's files."""
        return {**super().get_config(), "approximate": self.approximate}


_CUSTOM_LAYERS = {"GELU": GELU, "LocalResponseNorm": LocalResponseNorm}


def keras_class(name: str) -> type[keras.Layer]:
    """Return the class of a name in the layer map: one of `keras.layers`, or of this module."""
    return _CUSTOM_LAYERS.get(name) or getattr(keras.layers, name)
