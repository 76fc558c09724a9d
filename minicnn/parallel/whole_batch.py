"""Finds out whether layers and losses that need the whole batch ask for it with `sum_over_batch`."""

from __future__ import annotations

import contextlib
import copy
import functools
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from minicnn.layers.base import Layer
from minicnn.parallel.builtin_pickling import builtin_pickle
from minicnn.parallel.held_values import code_names, find_values
from minicnn.parallel.sums import run_in_shards
from minicnn.parallel.threads import resolve_threads
from minicnn.parameter import Parameter
from minicnn.parameter_tree import find_objects
from minicnn.safeguards.claims import all_layers
from minicnn.safeguards.inputs import to_input
from minicnn.safeguards.user_code import unwrapped

SUM = "sum_over_batch"
SHARDS = 2  # into which the first batch of a fit is divided for a comparison
TOLERANCES = {np.dtype(np.float32): 1e-3, np.dtype(np.float64): 1e-5}  # relative to the largest value
ROUNDED = 0.01  # of the input: the mean of values around 0 is rounded as they are
HINT = "use `minicnn.sum_over_batch`, or train with threads=1"


class Result(NamedTuple):
    """What a layer or loss has computed, and the largest value it was computed from, if that matters."""

    value: np.ndarray
    scale: float = 0.0


def batch_dependent_parts(model: Layer, loss: Callable) -> list[Any]:
    """Return the layers, and the loss, that declare that they need the whole batch."""
    return [part for part in (*all_layers(model), loss) if getattr(part, "batch_dependent", False)]


def count_shards(model: Layer, loss: Callable, threads: int | None, ranks: int) -> int:
    """Return the number of shards in this process: one if a part needs whole batches and does not ask.

    Raises
    ------
    ValueError
        If the user asks for several cores or ranks although such a part allows only one.
    """
    count = resolve_threads(threads, ranks)
    one_place = [part for part in batch_dependent_parts(model, loss) if not asks_for_sums(part)]
    if not one_place:
        return count
    is_loss = one_place[0] is loss
    if ranks > 1 or ((threads or 1) > 1 and not is_loss):
        what = "a loss" if is_loss else f"a model with {type(one_place[0]).__name__}"
        raise ValueError(
            f"`threads` must be 1 or None, and `comm` have one rank, for {what} that needs whole batches "
            f"and does not call `sum_over_batch`; got threads={threads}, ranks={ranks}"
        )
    return 1


def asks_for_sums(part: Any) -> bool:
    """Return whether the code of a layer, of one that it holds, or of a loss calls `sum_over_batch`.

    Its own code, that of its base classes, and functions of the same module are looked at. A call that is
    made elsewhere is not found; then the batch is computed in one place, which is right but slower.
    """
    parts = all_layers(part) if isinstance(part, Layer) else [part]
    return any(SUM in code_names(function.__code__) for one in parts for function in _functions(one))


def _functions(part: Any) -> Iterator[types.FunctionType]:
    part = unwrapped(part)
    if isinstance(part, types.MethodType):
        yield from _functions(part.__self__)
        part = part.__func__
    own = [part]
    if not isinstance(part, types.FunctionType):
        own = [
            value for cls in type(part).__mro__ if cls not in Layer.__mro__ for value in vars(cls).values()
        ]
    for function in own:
        if isinstance(function, types.FunctionType):
            yield from (value for value in find_values(function)[0] if isinstance(value, types.FunctionType))


def find_mixing_layer(model: Layer, x: np.ndarray) -> str:
    """Return a sentence about a user's layer whose output depends on how a batch is divided into shards.

    It is empty if there is none, or if the model is random.
    """
    if len(x) < SHARDS or model.generators() or builtin_pickle(model):
        return ""
    x = to_input(model, x)
    with np.errstate(all="ignore"), contextlib.suppress(Exception):  # which the step itself will raise
        if _agrees_in_shards(model, x):
            return ""
        replica = _training_replica(model)
        once, again = (_results([replica], x, "")[0] for _ in range(2))
        if not _agree([once], [again]):  # random in its own way, or it remembers earlier calls
            return ""
        names = [name for name, _ in model.named_layers() if not _agrees_in_shards(model, x, name)]
        inner = [name for name in names if not any(other.startswith(f"{name}.") for other in names)]
        layer = dict(model.named_layers())[inner[0]] if inner else model
        where = f"{inner[0]} ({type(layer).__name__})" if inner else type(model).__name__
        return (
            f"the results of {where} for the first batch depend on how it is divided into shards: a layer "
            f"that needs the whole batch must {HINT}"
        )
    return ""


def find_loss_mistake(loss: Callable, predictions: np.ndarray, y: np.ndarray) -> str:
    """Return a sentence about a user's loss that depends on how a batch is divided; empty otherwise."""
    if len(y) < SHARDS or builtin_pickle(loss):
        return ""
    predictions = predictions.astype(np.float64)
    with np.errstate(all="ignore"), contextlib.suppress(Exception):
        loss = copy.deepcopy(loss)  # which may remember its calls
        whole, again = (_loss_in_shards(loss, predictions, y, 1) for _ in range(2))
        parts = _loss_in_shards(loss, predictions, y, SHARDS)
        if not _agree(whole, parts) and _agree(whole, again):
            values = f"{float(whole[0].value):g}, but {float(parts[0].value):g} in {SHARDS} shards"
            return (
                f"the loss of the first batch is {values}: a loss must be a mean over examples, or {HINT}; "
                f"or set `batch_dependent = True` on it"
            )
    return ""


def _training_replica(model: Layer) -> Layer:
    """Return a replica whose forward changes nothing of the model."""
    replica = model.eval_replica().train()
    for parameter in replica.parameters():
        if parameter.is_statistic:
            parameter.rebind(parameter.value.copy(), parameter.grad)
    return replica


def _agrees_in_shards(model: Layer, x: np.ndarray, name: str = "") -> bool:
    """Return whether the results of a layer, by default the last, are the same for a batch in shards."""
    whole, *parts = (_training_replica(model) for _ in range(1 + SHARDS))
    return _agree(_results([whole], x, name), _results(parts, x, name))


def _results(models: Sequence[Layer], x: np.ndarray, name: str) -> list[Result]:
    """Return output and running statistics of a layer after a forward with a shard for each model.

    The function is long because what the watched layers see is kept in its variables.
    """
    count = len(models)
    parts = [{"": model, **dict(model.named_layers())} for model in models]
    outputs: list[Any] = [None] * count
    scales = dict.fromkeys(parts[0], 0.0)  # the largest input of each layer

    def watch(i: int, key: str, layer: Layer) -> None:
        forward = layer.forward

        def keep(x: np.ndarray) -> np.ndarray:
            scales[key] = max(scales[key], np.max(np.abs(x), initial=0.0))
            y = forward(x)
            if key == name:
                outputs[i] = y
            return y

        layer.forward = keep  # type: ignore[method-assign]

    def run(i: int) -> None:
        for key, layer in parts[i].items():
            watch(i, key, layer)
        models[i](x[i::count])

    run_in_shards([functools.partial(run, i) for i in range(count)])
    y = np.empty((len(x), *outputs[0].shape[1:]), outputs[0].dtype)
    for i in range(count):
        y[i::count] = outputs[i]
    found = [Result(y)]
    # Without a declaration, no shard may change them; that is looked for in every step.
    if batch_dependent_parts(parts[0][name], lambda: None):
        for key, layer in parts[0].items():
            if not name or key == name or key.startswith(f"{name}."):
                own = (p for _, p in find_objects(layer.__getstate__(), Parameter) if p.is_statistic)
                found += [Result(parameter.value, scales[key]) for parameter in own]
    return found


def _loss_in_shards(loss: Callable, predictions: np.ndarray, y: np.ndarray, count: int) -> list[Result]:
    rows = [slice(i, None, count) for i in range(count)]
    results = run_in_shards([functools.partial(loss, predictions[own].copy(), y[own].copy()) for own in rows])
    derivative, value = np.empty_like(predictions), 0.0
    for own, (part, dpart) in zip(rows, results, strict=True):
        share = len(y[own]) / len(y)
        value += share * part
        derivative[own] = share * dpart
    return [Result(np.array(value)), Result(derivative)]


def _agree(these: Sequence[Result], those: Sequence[Result]) -> bool:
    """Return whether arrays are equal up to rounding; what is not finite is not compared."""
    for (one, scale), (other, _) in zip(these, those, strict=True):
        largest = np.max(np.abs(one), initial=0.0) + ROUNDED * scale
        limit = TOLERANCES.get(one.dtype, 1e-3) * largest
        if one.shape != other.shape or np.any(np.abs(one - other) > limit):
            return False
    return True
