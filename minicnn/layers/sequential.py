"""Sequential: layers applied one after the other."""

from collections.abc import Iterable, Iterator

from minicnn.layers._chain import Chain, repr_lists
from minicnn.layers.base import Layer
from minicnn.layers.summary import summary_table


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

    def __getitem__(self, index: int) -> Layer:
        return self.layers[index]

    def __repr__(self) -> str:
        return f"Sequential({repr_lists(self.layers)})"
