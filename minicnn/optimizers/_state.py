"""The state of an optimizer across steps, also while some of the parameters are frozen."""

from collections.abc import Iterable, Mapping

import numpy as np

from minicnn.optimizers._groups import find_groups
from minicnn.optimizers._memory import Layout, Memory, describe_layout
from minicnn.parameter import Parameter


class OptimizerState:
    """The memory of the trainable parameters, and the state of those that are frozen after they were trained.

    Attributes
    ----------
    memory : Memory or None
        None until the parameters are known.
    layout : list of (int, shape, dtype)
        Of all parameters, trainable or not.
    frozen : dict of str to ndarray
        The state of parameters that were trained before.
    """

    def __init__(self) -> None:
        self.memory: Memory | None = None
        self.layout: Layout = []
        self.frozen: dict[str, np.ndarray] = {}

    def prepare(
        self,
        given: Iterable[Parameter | tuple[str, Parameter]],
        groups: Mapping[str, Mapping[str, float]],
        slots: tuple[str, ...],
    ) -> tuple[list[Parameter], Memory]:
        """Return the trainable parameters, by groups, and the memory made for their layout."""
        parameters, settings = find_groups(list(given), groups)
        every = [(i, parameter.shape, parameter.dtype) for i, parameter in enumerate(parameters)]
        layout = [each for each, parameter in zip(every, parameters, strict=True) if parameter.trainable]
        if self.memory is not None and every != self.layout:
            raise ValueError(
                f"this optimizer holds state for parameters {describe_layout(self.layout)}, "
                f"got {describe_layout(every)}; make a new optimizer to train other parameters"
            )
        if groups:
            layout.sort(key=lambda each: (settings[each[0]], each[0]))
        own = [settings[i] for i, _, _ in layout]
        if self.memory is None or (layout, own) != (self.memory.layout, self.memory.groups):
            # The first step, or other parameters are frozen, or in other groups.
            memory, state = Memory(layout, own, slots), self.copies()
            self.memory, self.layout = memory, every
            self._take_over(state)
        return [parameters[i] for i, _, _ in layout], self.memory

    def copies(self) -> dict[str, np.ndarray]:
        """Return copies of the state arrays in their parameters' shapes, as "0.m"."""
        return {name: view.copy() for name, view in (self._views() | self.frozen).items()}

    def load(self, state: Mapping[str, np.ndarray], slots: tuple[str, ...], owner: str, is_new: bool) -> None:
        """Take over such copies; for a new optimizer, which has made no step, none means zeros.

        Raises
        ------
        ValueError
            If names, shapes or dtypes do not match the parameters. Nothing has changed then.
        """
        views = self._views()
        if is_new and not state:
            state = {name: np.zeros_like(view) for name, view in views.items()}
        known = {
            f"{i}.{slot}": np.broadcast_to(dtype.type(0), shape)
            for i, shape, dtype in self.layout
            for slot in slots
        }
        if not views.keys() <= state.keys() <= known.keys():
            missing, unexpected = sorted(views.keys() - state.keys()), sorted(state.keys() - known.keys())
            raise ValueError(f"the state does not match {owner}: missing {missing}, unexpected {unexpected}")
        for name, array in state.items():
            expected = known[name]
            if (array.shape, array.dtype) != (expected.shape, expected.dtype):
                raise ValueError(
                    f"{name!r} must have shape {expected.shape} and dtype {expected.dtype}, "
                    f"got {array.shape} and {array.dtype}"
                )
        self._take_over(state)

    def _views(self) -> dict[str, np.ndarray]:
        return dict(self.memory.named_views()) if self.memory else {}

    def _take_over(self, state: Mapping[str, np.ndarray]) -> None:
        """Copy the state of trainable parameters into the memory, and keep that of the others."""
        views = self._views()
        for name in views.keys() & state.keys():
            views[name][...] = state[name]
        self.frozen = {name: array.copy() for name, array in state.items() if name not in views}
