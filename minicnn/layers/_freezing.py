"""Which weights of a layer are trained, and so which layers of a chain have to be differentiated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from minicnn.parameter import ForeignSwitch
from minicnn.parameter_tree import ParameterTree
from minicnn.safeguards.claims import all_layers, check_thread


class Freezable(ParameterTree):
    """A tree of parameters that can be frozen; its attributes are described by `Layer`."""

    needs_dx: bool = True
    needs_backward: bool = True
    requires_grad = ForeignSwitch()
    stop_gradient = ForeignSwitch()
    stop_training = ForeignSwitch("a callback ends the fit by `self.state.stop = True`")
    _trainable: bool = True

    @property
    def trainable(self) -> bool:
        """Whether the layer is trained; False freezes its weights and those of the layers that it holds."""
        return self._trainable

    @trainable.setter
    def trainable(self, trainable: bool) -> None:
        if not isinstance(trainable, bool | np.bool_):
            raise TypeError(f"`trainable` must be True or False, got {trainable!r}")
        check_thread(self)
        self._trainable = bool(trainable)
        for _, part in self._find(Freezable):
            part._trainable = bool(trainable)
        for parameter in self.parameters():
            parameter.frozen = not trainable


def require_gradients(layers: Iterable[Any], needs_dx: bool) -> None:
    """Decide for each layer of a chain whether it needs a backward pass, and dL/dx.

    Without dL/dx of the chain's input, nothing below its lowest trainable weight needs one.
    """
    for layer in layers:
        trains = needs_dx or any(parameter.trainable for parameter in layer.parameters())
        for part in all_layers(layer):
            _set(part, "needs_backward", trains)
        _set(layer, "needs_dx", needs_dx)  # after its parts, since a chain decides for them
        needs_dx = trains


def share_frozen(model: Any, replica: Any) -> None:
    """Freeze in a replica what is frozen in the model, and thaw the rest."""
    for own, twin in zip(model.parameters(), replica.parameters(), strict=True):
        twin.share_mode(own)
    pairs = zip(model.named_layers(), replica.named_layers(), strict=False)
    for layer, copied in ((model, replica), *((layer, copied) for (_, layer), (_, copied) in pairs)):
        _set(copied, "_trainable", layer.trainable)


def _set(part: Any, name: str, value: bool) -> None:
    """Set an attribute if that changes it: a new attribute would count as another structure."""
    if isinstance(getattr(type(part), name), property) or getattr(part, name) != value:
        setattr(part, name, value)
