"""`from_jax`: a differentiable function of arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn.layers.base import Layer
from minicnn.testing.adapters.adapted import Adapted, Params, Shared, arrays_of


def from_jax(function: Callable, params: Params = None, *, batch_dependent: bool = False) -> Layer:
    """Return a layer for `check_layer`, made of a function that JAX differentiates by `jax.vjp`.

    Parameters
    ----------
    function : callable
        `function(x, *params)`, such as one with `jax.custom_vjp` or `jax.custom_jvp`. It is called with
        batches, in float64 and in float32.
    params : dict or list of array, or callable, optional
        The weights, or a function `(input_shape, rng)` that draws them.
    batch_dependent : bool
        Whether the examples of a batch influence each other.

    Examples
    --------
    JAX compiles each operation for each batch shape, so all checks take seconds:

    >>> import jax  # doctest: +SKIP
    >>> check_layer(from_jax(jax.nn.softplus), (7,))  # doctest: +SKIP
    """
    if not callable(function):
        raise TypeError(f"`function` must be a function of JAX arrays, got {function!r}")
    return FromJax(function, params, batch_dependent)


class FromJax(Adapted):
    """A layer made of a function of JAX arrays."""

    factory = "from_jax"

    def __init__(self, function: Callable, params: Params, batch_dependent: bool) -> None:
        super().__init__(Shared(function), batch_dependent)
        self.params = params

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Hold the weights."""
        self.hold(arrays_of(self.params, input_shape, rng))

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Run the function, by `jax.vjp` in training mode."""
        import jax

        with _float64():
            arguments = [jax.numpy.asarray(array) for array in (x, *self.values())]
            if not self.training:
                return np.array(self.adapted(*arguments))
            y, vjp = jax.vjp(self.adapted, *arguments)
        self.cache = vjp
        return np.array(y)

    def backward(self, dy: np.ndarray) -> np.ndarray:
        """Return the vector-Jacobian product."""
        import jax

        with _float64():
            dx, *dparams = (np.array(grad) for grad in self.cache(jax.numpy.asarray(dy)))
        self.add_grads(dparams)
        return dx


def _float64() -> Any:
    """Return a context in which JAX keeps float64."""
    import jax

    switch: Any = getattr(jax, "enable_x64", None)
    if switch is None:  # before 0.8
        from jax.experimental import enable_x64

        return enable_x64(True)
    return switch(True)
