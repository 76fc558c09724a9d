"""The contract that every layer follows: what a subclass writes, and what it gets for it."""

from __future__ import annotations

import copy
import inspect
import itertools
import operator
import threading
from collections.abc import Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike

from minicnn.ops.scaling import to_float
from minicnn.parameter import Parameter
from minicnn.validation import check_int

_NOTHING: Any = (None, None)  # an empty cache: no value, no thread
_outer_dtype: ContextVar[np.dtype | None] = ContextVar("dtype of the outermost build", default=None)
_predicting: set[int] = set()  # ids of the models whose `predict` runs
_claims = threading.Lock()
_eval_replicas = itertools.count()


class Layer:
    """One step of a network: `forward` computes and caches, `backward` returns gradients.

    To write a layer, subclass and implement:

    - `forward(x)`: return the output; store in `self.cache` what backward will need.
    - `backward(dy)`: return dL/dx; give each weight its gradient with `add_grad`.
    - `init_params(input_shape, rng)`, only if there are weights: make them, `self.kernel = Parameter(...)`.
      A layer made of layers builds them here: `self.conv.build(input_shape, rng)`.

    There is nothing else to do: no `super().__init__()`, no registration, no shape method. A Parameter or
    Layer held in an attribute, or in a list or dict in one, is found by itself, in assignment order.
    `__init__` stores its arguments under their own names, which gives the layer its `repr`.

    Neither method may write into its argument, nor return an array that a later call overwrites.

    Attributes
    ----------
    training : bool
        False, until `train()`. In training mode `forward` caches, Dropout drops.
    cache : object
        One slot, kept only in training mode and until the next `forward`; reading it too early raises.
    input_shape, output_shape : tuple of int
        Without the batch axis; set by `build`.
    dtype : numpy.dtype
        Of the weights; set by `build`.
    batch_dependent : bool
        False. True says that in training the examples of a batch influence each other, or that `forward`
        changes weights (the running statistics of BatchNorm), so that a batch must not be cut into shards.
    needs_dx : bool
        True. Whoever sets it to False (the trainer, for the first layer) does without dL/dx:
        `backward` may then return None.
    """

    training: bool = False
    batch_dependent: bool = False
    needs_dx: bool = True
    input_shape: tuple[int, ...] | None = None
    output_shape: tuple[int, ...] = ()
    dtype: np.dtype = np.dtype(np.float32)
    _cache: tuple[Any, int | None] = _NOTHING

    def init_params(self, input_shape: tuple[int, ...], rng: np.random.Generator) -> None:
        """Make the weights for inputs of `input_shape` (without the batch axis)."""

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Return the layer's output for the batch `x`."""
        raise NotImplementedError(f"{type(self).__name__} must implement forward(self, x)")

    def backward(self, dy: np.ndarray) -> np.ndarray | None:
        """Return dL/dx for dL/dy, and add dL/dp to the gradient of each parameter p."""
        raise NotImplementedError(f"{type(self).__name__} must implement backward(self, dy)")

    def macs(self) -> int:
        """Return the multiply-adds that `forward` spends on weights, for one example.

        Here: those of the layers that this one holds.
        """
        return sum(layer.macs() for layer in _find(self.__getstate__(), Layer))

    # --- building -----------------------------------------------------------------------------------------

    def build(
        self,
        input_shape: Sequence[int],
        rng: int | np.random.Generator | None = None,
        dtype: DTypeLike = np.float32,
    ) -> Self:
        """Make all weights, at this one moment, and find the output shape by running an example of zeros.

        Parameters
        ----------
        input_shape : sequence of int
            Shape of one example, without the batch axis: (28, 28, 1).
        rng : int, numpy.random.Generator or None
            Seed or generator for the initial weights; None draws a fresh seed.
        dtype : float32 or float64
            Of all weights. Only the outermost `build` decides; within it, layers are built in its dtype.

        Returns
        -------
        Layer
            The layer itself.

        Raises
        ------
        ValueError
            If the input shape does not suit the layer, or a weight or layer is held in two places.
        """
        outer = _outer_dtype.get()
        dtype = np.dtype(dtype) if outer is None else outer
        if dtype not in (np.float32, np.float64):
            raise TypeError(f"`dtype` must be float32 or float64, got {dtype}")
        shape = _check_shape(input_shape)
        token = _outer_dtype.set(dtype)
        mode = self.training
        try:
            self.init_params(shape, np.random.default_rng(rng))
            for held in _find(self.__getstate__(), Parameter):
                held.cast(dtype)
            self.input_shape, self.dtype = shape, dtype
            with np.errstate(all="ignore"):  # zeros may well divide by zero; only the shape is asked for
                self.output_shape = self.eval()(np.zeros((1, *shape), dtype)).shape[1:]
            if outer is None:
                self._refuse_ties()
        except BaseException:
            self.input_shape = None
            raise
        finally:
            self.train(mode)
            _outer_dtype.reset(token)
        return self

    def _refuse_ties(self) -> None:
        seen: dict[int, str] = {}
        for name, part in self._parts():
            if id(part) in seen:
                raise ValueError(
                    f"each parameter and layer must be held in one place only, but {seen[id(part)]!r} and "
                    f"{name!r} are the same {type(part).__name__}: tied weights are not supported"
                )
            seen[id(part)] = name

    # --- running ------------------------------------------------------------------------------------------

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Run `forward` on a batch of floats, (N, ...)."""
        if self.input_shape is None:
            raise RuntimeError(f"{type(self).__name__} has no weights yet: call build(input_shape) first")
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            kind = x.dtype if isinstance(x, np.ndarray) else type(x).__name__
            raise TypeError(
                f"a layer must be given an array of floats, got {kind}; only fit, evaluate and predict scale "
                f"uint8 images, so pass images.astype('float32') / 255 here"
            )
        self._cache = _NOTHING
        return self.forward(x)

    def predict(self, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
        """Return the outputs for all of `x`, computed in batches, in eval mode.

        Parameters
        ----------
        x : ndarray, shape (N, ...)
            uint8 images are scaled to [0, 1], batch by batch; anything else is cast to the weights' dtype.
        batch_size : int
            Examples at a time; the result does not depend on it, the memory does.

        Returns
        -------
        ndarray, shape (N, ...)
        """
        batch_size = check_int(batch_size, "batch_size", low=1)
        if self.input_shape is None:
            raise RuntimeError(f"{type(self).__name__} has no weights yet: call build(input_shape) first")
        x = np.asarray(x)
        if x.shape[1:] != self.input_shape:
            raise ValueError(wrong_shape(x.shape, self.input_shape))
        alone = _claim(self)
        try:
            # A model in training mode is not switched under the feet of its trainer, and a layer may keep
            # things in attributes while another thread predicts with it: then a copy of it predicts.
            model = self if alone and not self.training else self.eval_replica()
            starts = range(0, max(len(x), 1), batch_size)
            outputs = [model(to_float(x[i : i + batch_size], self.dtype)) for i in starts]
        finally:
            if alone:
                _predicting.discard(id(self))
        return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)

    @property
    def cache(self) -> Any:
        """What `forward` stored for `backward`."""
        value, thread = self._cache
        if thread is None:
            raise RuntimeError(
                f"{type(self).__name__}.backward needs a forward in training mode before it: "
                f"call train(), then forward, then backward"
            )
        if thread != threading.get_ident():
            raise RuntimeError(
                f"{type(self).__name__} ran forward in another thread: one model must not be trained from "
                f"two threads; give each thread its own replica()"
            )
        return value

    @cache.setter
    def cache(self, value: Any) -> None:
        self._cache = (value, threading.get_ident()) if self.training else _NOTHING

    def train(self, mode: bool = True) -> Self:
        """Switch this layer and those it holds to training mode."""
        self.training = mode
        for _, layer in self.named_layers():
            layer.training = mode
        return self

    def eval(self) -> Self:
        """Switch this layer and those it holds to evaluation mode."""
        return self.train(False)

    # --- weights ------------------------------------------------------------------------------------------

    def named_parameters(self) -> Iterator[tuple[str, Parameter]]:
        """Yield (name, parameter) for all weights, in assignment order; the name is the path to it.

        >>> from minicnn import Dense, Sequential
        >>> [name for name, _ in Sequential([Dense(2)]).build((3,)).named_parameters()]
        ['layers.0.kernel', 'layers.0.bias']
        """
        for name, part in self._parts():
            if isinstance(part, Parameter):
                yield name, part

    def named_layers(self) -> Iterator[tuple[str, Layer]]:
        """Yield (name, layer) for all layers held by this one, and by those in turn."""
        for name, part in self._parts():
            if isinstance(part, Layer):
                yield name, part

    def parameters(self) -> list[Parameter]:
        """Return all weights, trainable or not, in the order of `named_parameters`."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self) -> None:
        """Set all accumulated gradients to zero."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def get_weights(self) -> list[np.ndarray]:
        """Return copies of all weights, in Keras's order."""
        return [parameter.value.copy() for parameter in self.parameters()]

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Copy `weights`, a list as `get_weights` returns it, into the layer; all or, on an error, none."""
        named = list(self.named_parameters())
        if len(weights) != len(named):
            raise ValueError(f"there must be {len(named)} weights, got {len(weights)}")
        for (name, parameter), value in zip(named, weights, strict=True):
            if np.shape(value) != parameter.shape:
                raise ValueError(f"{name!r} must have shape {parameter.shape}, got {np.shape(value)}")
        for (_, parameter), value in zip(named, weights, strict=True):
            parameter.value = value

    def replica(self) -> Self:
        """Return a copy that shares the weights' buffers, but has its own gradients, cache and random stream.

        Replicas may run in different threads at once; `training` mode is copied as it is.
        """
        return self._copy({id(stream): stream.spawn(1)[0] for stream in self.generators()})

    def eval_replica(self) -> Self:
        """Return a replica in evaluation mode, for a prediction, after which this layer is as it was.

        (To spawn random streams for it, as for other replicas, would change which the next one gets.)
        """
        number = next(_eval_replicas)
        return self._copy({id(stream): _apart(stream, number) for stream in self.generators()}).eval()

    def _copy(self, memo: dict[int, Any]) -> Self:
        return copy.deepcopy(self, memo | {id(part): part.replica() for part in self.parameters()})

    def generators(self) -> list[np.random.Generator]:
        """Return the generators that this layer and those in it hold (Dropout's), in assignment order."""
        layers = (self, *(part for _, part in self.named_layers()))
        return [stream for layer in layers for stream in _find(layer.__getstate__(), np.random.Generator)]

    def _parts(self, prefix: str = "") -> Iterator[tuple[str, Parameter | Layer]]:
        """Yield every parameter and layer held here, and in turn by these layers, with its path."""
        for name, part in _named(self.__getstate__(), (Parameter, Layer)):
            yield prefix + name, part
            if isinstance(part, Layer):
                yield from part._parts(f"{prefix}{name}.")

    def __getstate__(self) -> dict[str, Any]:
        # A list, since another thread may add an attribute while this one walks.
        return {name: value for name, value in list(vars(self).items()) if name != "_cache"}

    def __repr__(self) -> str:
        arguments = []
        for name, argument in inspect.signature(type(self)).parameters.items():
            value = getattr(self, name, ...)  # a layer need not keep an argument under its name
            if argument.default is argument.empty:
                arguments.append(repr(value))
            elif repr(value) != repr(argument.default):
                arguments.append(f"{name}={getattr(value, '__name__', None) or repr(value)}")
        return f"{type(self).__name__}({', '.join(arguments)})"


def _apart(stream: np.random.Generator, number: int) -> np.random.Generator:
    """Return a stream that has nothing to do with this one and its children, another for each number."""
    seeds = getattr(stream.bit_generator, "seed_seq", None)
    if not isinstance(seeds, np.random.SeedSequence):
        return copy.deepcopy(stream)
    key = (*seeds.spawn_key, 1 << 31, number)  # further than anybody spawns
    return np.random.Generator(
        type(stream.bit_generator)(np.random.SeedSequence(seeds.entropy, spawn_key=key))
    )


def wrong_shape(got: tuple[int, ...], example: tuple[int, ...] | None) -> str:
    """Return a sentence about an array of another shape than a batch of such examples, and a hint.

    >>> wrong_shape((28, 28, 1), (28, 28, 1))
    'examples must have shape (28, 28, 1), got an array of (28, 28, 1) (a single one: make a batch, x[None])'
    """
    hint = " (add a channel axis: x[..., None])" if (*got[1:], 1) == example else ""
    hint = " (a single one: make a batch, x[None])" if got == example else hint
    return f"examples must have shape {example}, got an array of {got}{hint}"


def _claim(layer: Layer) -> bool:
    """Note that `layer` predicts, and return True, unless it does already in another thread."""
    with _claims:
        if id(layer) in _predicting:
            return False
        _predicting.add(id(layer))
        return True


def _named(value: Any, kinds: type | tuple[type, ...], name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the objects of these kinds in a value, itself or in its lists, tuples, dicts, with their path."""
    if isinstance(value, kinds):
        yield name, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _named(item, kinds, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _named(item, kinds, f"{name}.{i}")


def _find(value: Any, kind: type) -> list[Any]:
    return [found for _, found in _named(value, kind)]


def check_gradient(dy: np.ndarray, shape: tuple[int, ...]) -> None:
    """Raise unless `dy` is an array of floats of exactly this shape: nothing is broadcast silently."""
    if not isinstance(dy, np.ndarray) or dy.dtype.kind != "f":
        kind = dy.dtype if isinstance(dy, np.ndarray) else type(dy).__name__
        raise TypeError(f"dy must be an array of floats, got {kind}")
    if dy.shape != shape:
        raise ValueError(f"dy must have the output's shape {shape}, got {dy.shape}")


def _check_shape(input_shape: Sequence[int]) -> tuple[int, ...]:
    try:
        shape = tuple(map(operator.index, input_shape))
    except TypeError:
        raise TypeError(f"`input_shape` must be a tuple of integers, got {input_shape!r}") from None
    if not shape or min(shape) < 1:
        raise ValueError(f"`input_shape` must have positive sizes, without the batch axis, got {shape}")
    return shape
