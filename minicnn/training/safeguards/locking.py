"""The claim of a fit on its model and optimizer."""

import contextlib
import weakref
from collections.abc import Iterator, Sequence

import numpy as np

from minicnn.layers.base import Layer
from minicnn.optimizers import Optimizer
from minicnn.parameter import Parameter
from minicnn.plural import counted
from minicnn.safeguards.claims import claim, claimed_parts
from minicnn.training.callbacks import Callback

# The weights' buffers that an optimizer has trained; a model that is built again has other ones.
_trained: weakref.WeakKeyDictionary[Optimizer, list[weakref.ref[np.ndarray]]] = weakref.WeakKeyDictionary()


@contextlib.contextmanager
def training_lock(
    model: Layer, optimizer: Optimizer, callbacks: Sequence[Callback], parameters: Sequence[Parameter]
) -> Iterator[None]:
    """Claim a model for one fit, in training mode and without dL/dx of its input; restore it afterwards.

    Raises
    ------
    RuntimeError
        If another fit uses a layer of it, the optimizer or a callback, or its weights are not these
        `parameters`.
    ValueError
        If the optimizer has trained another model: its state would be wrong for this one.
    """
    with claim([*claimed_parts(model), optimizer, *callbacks]):
        weights = [parameter.value for parameter in model.parameters()]
        if [*map(id, weights)] != [id(parameter.value) for parameter in parameters]:
            raise RuntimeError(
                "the model has other weights than when this trainer was made, perhaps because it was built "
                "again: make a new Trainer, with a new optimizer"
            )
        trained = [buffer() for buffer in _trained.get(optimizer, map(weakref.ref, weights))]
        if optimizer.steps and [*map(id, trained)] != [*map(id, weights)]:
            raise ValueError(
                f"this optimizer already holds state for another model, or for this one before it was built "
                f"again ({counted(optimizer.steps, 'step')}); make a new optimizer for each trainer"
            )
        _trained[optimizer] = [*map(weakref.ref, weights)]
        training, needs_dx = model.training, model.needs_dx
        try:
            model.train().needs_dx = False
            yield
        finally:
            model.train(training).needs_dx = needs_dx
