"""Sequential: layers applied one after the other."""

from collections.abc import Iterable, Iterator
from typing import overload

from minicnn.layers._chain import Chain, repr_lists
from minicnn.layers.base import Layer
from minicnn.layers.summary import summary_table
from minicnn.safeguards.claims import check_thread


class Sequential(Chain):
    """Apply layers one after the other; itself a layer, so it can be nested.

    Parameters
    ----------
    layers : iterable of Layer
        In order of application. The same object cannot occur twice, since each layer has one cache.

    Examples
    --------
    >>> from minicnn import Dense, ReLU
    >>> model = Sequential([Dense(8), ReLU(), Dense(2)]).build((4,), rng=0)
    >>> len(model), model[1], [type(layer).__name__ for layer in model]
    (3, ReLU(), ['Dense', 'ReLU', 'Dense'])

    A slice is a Sequential of the same layers, and a new head on them keeps their weights:

    >>> import numpy as np
    >>> features = model[:-1]
    >>> features.trainable = False
    >>> other = Sequential([*features, Dense(5)]).build((4,), rng=1)
    >>> other[0] is model[0], other.output_shape, features.predict(np.zeros((1, 4))).shape
    (True, (5,), (1, 8))

    A layer can be replaced in place; `build` then makes the weights of the new one:

    >>> model[-1] = Dense(5)
    >>> model.build((4,), rng=1).output_shape
    (5,)
    """

    def __init__(self, layers: Iterable[Layer] = ()) -> None:
        super().__init__(list(layers))

    def summary(self) -> str:
        """Return a table of the built layers: output shapes, parameters, MACs and bytes cached."""
        return summary_table(self, self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    @overload
    def __getitem__(self, index: int) -> Layer: ...
    @overload
    def __getitem__(self, index: slice) -> "Sequential": ...

    def __getitem__(self, index: int | slice) -> "Layer | Sequential":
        if not isinstance(index, slice):
            return self.layers[index]
        part = Sequential(self.layers[index])
        if part.layers and self.input_shape is not None:
            part.input_shape, part.dtype = part.layers[0].input_shape, self.dtype
            part.output_shape = part.layers[-1].output_shape
            if part.unbuilt_part():  # layers that did not follow each other
                part.input_shape = None
        part.training = self.training
        return part

    def __setitem__(self, index: int, layer: Layer) -> None:
        if isinstance(index, slice):
            raise TypeError("layers are replaced one by one; make a new Sequential of others")
        check_thread(self)
        self.layers[index] = Sequential([layer]).layers[0]  # which checks that it is a layer

    def __repr__(self) -> str:
        return f"Sequential({repr_lists(self.layers)})"
