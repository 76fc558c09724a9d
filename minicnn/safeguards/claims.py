"""Which thread may change a layer: a fit claims its model, and other threads read it between two steps.

A reader that began before the fit has the layers themselves, or replicas that share the weights: the fit
waits for it before its first change. A reader that comes later waits for the end of the step that runs, and
takes a copy. So predictions, evaluations and saved weights are those of one moment between two steps.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from minicnn.safeguards.refusals import FOREIGN, refusal
from minicnn.safeguards.threads import current_thread

T = TypeVar("T")

_condition = threading.Condition()  # guards all that follows
_claims: dict[int, Claim] = {}  # by the ids of the objects that a fit has claimed
_readers: dict[Reader, None] = {}  # in the order of their arrival
_NO_CHANGE = contextlib.nullcontext()


class Reader:
    """A thread that uses a model, or a copy of it, see `reading`; fits that begin wait for it."""

    def __init__(self, model: Any, copied: bool) -> None:
        self.model, self.copied, self.thread = model, copied, current_thread()
        self._held: contextlib.ExitStack | None = None  # the fit that holds still

    def __enter__(self) -> tuple[Any, bool]:
        with _condition:
            fit, others = _foreign_claim(self.model), [*_readers]
            _readers[self] = None
        if fit is None:
            return self.model, not (others and self._shares_layers(others))
        self._held = contextlib.ExitStack()
        try:
            self._held.enter_context(fit.read())
            model = self.model.eval_replica(shared=False) if self.copied else self.model
        except BaseException:
            self.__exit__()
            raise
        if self.copied:
            self.__exit__()
        return model, self.copied

    def __exit__(self, *exception: object) -> None:
        if self._held:
            self._held.close()
        with _condition:
            _readers.pop(self, None)
            if _claims:
                _condition.notify_all()

    def _shares_layers(self, others: Sequence[Reader]) -> bool:
        own = self.layers()
        return any(own & other.layers() for other in others)

    def layers(self) -> set[int]:
        """Return the ids of the model's layers."""
        return {id(part) for part in all_layers(self.model)}

    def parts(self) -> set[int]:
        """Return the ids of the layers and of the weights' buffers."""
        return {id(part) for part in claimed_parts(self.model)}


class Claim:
    """The hold of one fit on its model, optimizer and callbacks."""

    def __init__(self, objects: Sequence[Any]) -> None:
        self.objects = objects  # held, so that no other object gets one of the ids
        self.thread = current_thread()  # of the fit
        self.started = False  # whether the readers from before have ended
        self.changing = False  # whether a step runs
        self._wanted = False  # the next step waits for the readers
        self._reading = self._queue = self._turn = 0

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """Change weights and layers in the block, while no other thread reads them."""
        with _condition:
            self._wanted = True
            try:
                _condition.wait_for(lambda: not self._reading)
                self.changing = True
            finally:
                self._wanted = False
        try:
            yield
        finally:
            self.rest()

    def rest(self) -> None:
        """Let those read who have waited; readers that come later cannot delay the next step again."""
        with _condition:
            self.changing = False
            self._reading += self._queue
            self._queue = 0
            self._turn += 1
            _condition.notify_all()

    @contextlib.contextmanager
    def read(self) -> Iterator[None]:
        """Hold the fit between two steps during the block."""
        with _condition:
            turn = self._turn
            if self.changing or self._wanted:
                self._queue += 1
                try:
                    _condition.wait_for(lambda: turn != self._turn)
                except BaseException:
                    if turn == self._turn:
                        self._queue -= 1
                    else:
                        self._leave()
                    raise
            else:
                self._reading += 1
        try:
            yield
        finally:
            with _condition:
                self._leave()

    def _leave(self) -> None:
        self._reading -= 1
        _condition.notify_all()


@contextlib.contextmanager
def claim(objects: Sequence[Any]) -> Iterator[None]:
    """Claim objects for the fit in the block, which begins when their readers in other threads have ended.

    Raises RuntimeError if another fit has claimed one of them.
    """
    own = Claim(objects)
    ids = {*map(id, objects)}
    try:
        with _condition:
            for taken in objects:
                if id(taken) in _claims:
                    raise RuntimeError(refusal(taken))
            _claims.update(dict.fromkeys(ids, own))
            _condition.wait_for(lambda: not any(_delays(reader, ids) for reader in _readers))
            own.started = True
        yield
    finally:
        with _condition:
            for key in ids:
                if _claims.get(key) is own:
                    del _claims[key]
        own.rest()


def reading(model: T, copied: bool = False) -> contextlib.AbstractContextManager[tuple[T, bool]]:
    """Read a model that no fit in another thread changes during the block.

    The block gets the model, and whether no other thread is in such a block with one of its layers. If a fit
    in another thread has claimed the model, the fit holds still during the block, which must be short; with
    `copied`, only until a copy for predictions is made, which the block gets.
    """
    return Reader(model, copied)


def changing(model: Any) -> contextlib.AbstractContextManager[None]:
    """Change the weights of a model in the block; other threads read them before or after it.

    Raises
    ------
    RuntimeError
        If a fit in another thread has claimed the model.
    """
    own = _claims.get(id(model)) if _claims else None
    if own is None:
        return _NO_CHANGE
    if own.thread != current_thread():
        raise RuntimeError(FOREIGN)
    return _NO_CHANGE if own.changing else own.change()  # in an outer block


def check_thread(model: Any) -> None:
    """Raise RuntimeError if a fit in another thread trains this layer."""
    if _claims:
        fit = _claims.get(id(model))
        if fit is not None and fit.started and fit.thread != current_thread():
            raise RuntimeError(FOREIGN)


def is_trained_elsewhere(model: Any) -> bool:
    """Return whether a fit in another thread trains this layer, and this thread does not hold it still."""
    fit = _claims.get(id(model)) if _claims else None
    if fit is None or fit.thread == current_thread():
        return False
    with _condition:
        return not any(reader.thread == current_thread() and reader._held for reader in _readers)


def claimed_parts(model: Any) -> list[Any]:
    """Return the layers of a model and the buffers of its weights."""
    return [*all_layers(model), *(parameter.value for parameter in model.parameters())]


def all_layers(model: Any) -> list[Any]:
    """Return a model, or layer, and all layers in it."""
    return [model, *(layer for _, layer in model.named_layers())]


def _foreign_claim(model: Any) -> Claim | None:
    """Return the claim of a fit in another thread on a part of the model."""
    if not _claims:
        return None
    found = (_claims.get(id(part)) for part in claimed_parts(model))
    return next((fit for fit in found if fit and fit.thread != current_thread()), None)


def _delays(reader: Reader, ids: set[int]) -> bool:
    return reader.thread != current_thread() and not ids.isdisjoint(reader.parts())


def _forget_other_threads() -> None:
    """In a forked process, only the thread that called `fork` continues."""
    global _condition
    _condition = threading.Condition()
    current = current_thread()
    for key in [key for key, fit in _claims.items() if fit.thread != current]:
        del _claims[key]
    for reader in [reader for reader in _readers if reader.thread != current]:
        del _readers[reader]


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
