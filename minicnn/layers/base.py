"""The contract that every layer follows: what a subclass implements, and what it inherits."""

from __future__ import annotations

import copy
import functools
import threading
from collections.abc import Iterator, Sequence
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from minicnn.batch_sums import sum_over_batch
from minicnn.config.configurable import Configurable
from minicnn.layers._building import build_layer, not_built, outer_dtype
from minicnn.layers._exchange import Exchangeable, Exchanged
from minicnn.layers._folding import Foldable
from minicnn.layers._freezing import Freezable
from minicnn.layers._prediction import detached_generators, predict_batches, prediction_batch
from minicnn.parameter_tree import find_objects
from minicnn.safeguards.claims import check_thread
from minicnn.safeguards.inputs import input_batches
from minicnn.safeguards.nonfinite import watched
from minicnn.validation import check_examples, check_floats, check_input_shape, check_numbers

_EMPTY: Any = (None, None)  # an empty cache: no value, no thread


class Layer(Configurable, Exchangeable, Foldable, Freezable):
    """One step of a network: `forward` computes and caches, `backward` returns gradients.

    To write a layer, subclass and implement:

    - `forward(x)`: return the output; store what backward needs in `self.cache`.
    - `backward(dy)`: return dL/dx; accumulate each weight's gradient with `add_grad`.
    - `init_params(input_shape, rng)`, only if there are weights: create them, `self.kernel = Parameter(...)`.
      A layer made of layers builds them here: `self.conv.build(input_shape, rng)`.

    Nothing else is needed: no `super().__init__()`, no registration, no shape method. Parameters and layers
    held in an attribute, or in a list or dict in one, are found in assignment order. `__init__` stores its
    arguments under their own names, which gives the layer its `repr`. Neither method may write into its
    argument, or return an array that the cache holds or a later call overwrites.

    Attributes
    ----------
    training : bool
        False until `train()`. In training mode `forward` caches, and Dropout drops.
    cache : object
        One slot, kept only in training mode and until the next `forward`; reading it too early raises.
    input_shape, output_shape, dtype : tuple of int, tuple of int, numpy.dtype
        Shapes without the batch axis, and the dtype of the weights; set by `build`.
    batch_dependent : bool
        False. Set it to True if in training the examples of a batch influence each other, or `forward`
        changes weights (running statistics), by `sum_over_batch`; a batch is not divided without it.
    trainable : bool
        True. Assigning False freezes its weights, those of layers it holds, and running averages.
    needs_dx : bool
        True. If False, `backward` may return None instead of dL/dx. The trainer sets it on the model: the
        layers below its lowest trainable weight, whose `needs_backward` is False, then cache nothing.
    commutes_with_max : bool
        False. Set it to True for an activation that may change places with max pooling, see `Exchangeable`.
    """

    training: bool = False
    batch_dependent: bool = False
    input_shape: tuple[int, ...] | None = None
    output_shape: tuple[int, ...] = ()
    dtype: np.dtype = np.dtype(np.float32)
    sum_over_batch = staticmethod(sum_over_batch)
    _cache: tuple[Any, int | None] = _EMPTY

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Create the weights for inputs of `input_shape` (without the batch axis)."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the layer's output for the batch `x`."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward(self, x)")

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Return dL/dx for dL/dy, and add dL/dp to the gradient of each parameter p."""
        raise NotImplementedError(f"{type(self).__name__} must implement backward(self, dy)")

    def macs(self) -> int:
        """Return the multiply-accumulate operations of `forward` with weights, for one example.

        By default, the sum over the layers that this one holds.
        """
        return sum(layer.macs() for _, layer in find_objects(self.__getstate__(), Layer))

    # --- building -----------------------------------------------------------------------------------------

    def build(
        self,
        input_shape: Sequence[int],
        rng: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> Self:
        """Create the weights, and find the output shape by running one example of zeros.

        Layers that are built already keep their weights.

        Parameters
        ----------
        input_shape : sequence of int
            Shape of one example, without the batch axis: (28, 28, 1).
        rng : int, numpy.random.Generator or None
            Seed or generator for the initial weights; None draws a fresh seed.
        dtype : float32 or float64
            Dtype of all weights. The outermost `build` decides; layers built within it get its dtype.

        Returns
        -------
        Layer
            The layer itself.

        Raises
        ------
        ValueError
            If the input shape does not suit the layer, or input shape and dtype the weights that it has; if a
            weight or layer is held in two places.
        TypeError
            If `dtype` is not float32 or float64, or the input shape is not a sequence of integers.
        """
        check_thread(self)
        outer = outer_dtype.get()
        dtype = np.dtype(dtype) if outer is None else outer
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"`dtype` must be float32 or float64, got {dtype}")
        shape, token = check_input_shape(input_shape), outer_dtype.set(dtype)
        try:
            return build_layer(self, shape, np.random.default_rng(rng), dtype, outermost=outer is None)
        finally:
            outer_dtype.reset(token)

    def unbuilt_part(self) -> str:
        """Return which of the layers held by this one must still be built, or again; empty if none."""
        for name, layer in self.named_layers():
            if layer.input_shape is None:
                return f"{name} ({type(layer).__name__})"
        return ""

    # --- running ------------------------------------------------------------------------------------------

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Run `forward` on a batch of floats, (N, ...)."""
        self._require_built()
        if type(x) is not np.ndarray or x.dtype.kind != "f":
            check_floats(x)
        check_thread(self)
        self._cache = _EMPTY
        return self.forward(x)

    def predict(self, x: np.ndarray, batch_size: int | None = None) -> np.ndarray:
        """Return the outputs for all of `x`, computed in batches and in evaluation mode.

        Several threads may predict at once; while another one trains, with the weights between two steps.

        Parameters
        ----------
        x : ndarray, shape (N, ...)
            uint8 images are scaled to [0, 1], batch by batch, unless a `Rescaling` at the start does so;
            anything else is cast to the weights' dtype.
        batch_size : int, optional
            Examples per forward pass, for time and memory. By default 32 to 256, by the size of the maps.

        Returns
        -------
        ndarray, shape (N, ...)

        Raises
        ------
        ValueError
            If the examples do not have the shape that the model was built for.
        RuntimeError
            If the model is not built.

        Warns
        -----
        UserWarning
            If a number overflows, or a prediction is NaN: FloatingPointError with `np.seterr(all="raise")`.
        """
        x, input_shape = check_numbers(x, "x"), self._require_built()
        check_examples(x.shape, input_shape)
        batch_size = prediction_batch(self, batch_size, len(x))
        inputs = functools.partial(input_batches, self, x, batch_size)
        return watched(lambda: predict_batches(self, x, batch_size), self, inputs)

    def _require_built(self) -> tuple[int, ...]:
        if self.input_shape is None:
            raise not_built(self)
        return self.input_shape

    @property
    def cache(self) -> Any:
        """What `forward` stored for `backward`."""
        value, thread = self._cache
        if thread is None:
            raise RuntimeError(
                f"{type(self).__name__}.backward needs a forward pass in training mode before it: "
                f"call train(), then forward, then backward"
            )
        if thread != threading.get_ident():
            raise RuntimeError(
                f"{type(self).__name__} ran forward in another thread: a model cannot be trained from two "
                f"threads; give each thread its own replica()"
            )
        return value.value(self) if isinstance(value, Exchanged) else value

    @cache.setter
    def cache(self, value: Any) -> None:
        self._cache = (value, threading.get_ident()) if self.training and self.needs_backward else _EMPTY

    def train(self, mode: bool = True) -> Self:
        """Switch this layer and those it holds to training mode."""
        check_thread(self)
        self.training = mode
        for _, layer in self.named_layers():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Switch this layer and those it holds to evaluation mode."""
        return self.train(False)

    def named_layers(self) -> Iterator[tuple[str, Layer]]:
        """Yield (name, layer) for all layers held by this one, recursively."""
        return self._find(Layer)

    # --- copies -------------------------------------------------------------------------------------------

    def replica(self) -> Self:
        """Return a copy that shares the weights' buffers, but has its own gradients, cache and generators.

        Replicas may run in different threads at once; they start in the mode, training or evaluation, of the
        original.
        """
        return self._copy({id(rng): rng.spawn(1)[0] for rng in self.generators()})

    def eval_replica(self, shared: bool = True) -> Self:
        """Return a replica in evaluation mode; unless `shared`, its weights are copies."""
        copies = {} if shared else {id(p): p.replica(shared=False) for p in self.parameters()}
        return self._copy(detached_generators(self.generators()) | copies).eval()

    def _copy(self, memo: dict[int, Any]) -> Self:
        return copy.deepcopy(self, {id(part): part.replica() for part in self.parameters()} | memo)
