"""The settings of a training from nothing: one list, by which address, form, race and requests are read."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from minicnn.demo.options import Number, Option, Pick, Whole, Wholes, written
from minicnn.layers import ELU, GELU, Layer, LeakyReLU, ReLU, Sigmoid, SiLU, Tanh
from minicnn.optimizers import OPTIMIZERS

ACTIVATIONS: dict[str, type[Layer] | None] = {
    "relu": ReLU,
    "leaky_relu": LeakyReLU,
    "elu": ELU,
    "gelu": GELU,
    "silu": SiLU,
    "tanh": Tanh,
    "sigmoid": Sigmoid,
    "none": None,
}
GROUPS = {"training": "Training", "network": "Network", "data": "Data"}

_OWN = {"net": "own"}
_DATA = Pick(
    "Images",
    "Your own images are tested with the test images, which others made.",
    "data",
    {"run": "the data set", "own": "my own images"},
)
_IMAGES = Pick(
    "Number of images",
    "With few images a network learns them by heart, and the test images show it.",
    "data",
    {"all": "all", "10000": "10,000", "1000": "1,000", "100": "100"},
)
_AUGMENT = Pick(
    "Distort images",
    "Each image is shifted, turned and stretched at random each time that it is learned.",
    "data",
    {"no": "no", "yes": "yes"},
)
_OPTIMIZER = Pick(
    "Optimizer", "How a gradient becomes a step.", "training", {name: name for name in sorted(OPTIMIZERS)}
)
_LR = Number("Learning rate", "The length of a step.", "training", high=1000, above_low=True)
_MOMENTUM = Number(
    "Momentum",
    "The part of a step that is repeated in the next one; Nesterov's form.",
    "training",
    high=1,
    needs={"optimizer": "sgd"},
)
_BATCH_SIZE = Whole("Batch size", "Images whose mean gradient makes a step.", "training", 1, 4096)
_SEED = Whole(
    "Seed", "The same seed gives the same random weights and order of images.", "training", 0, (1 << 32) - 1
)
_NET = Pick(
    "Network",
    "The architecture that was opened, or one of your own.",
    "network",
    {"run": "as opened", "own": "my own"},
)
_FILTERS = Wholes(
    "Filters",
    "Of each convolution: 6-16 is a convolution of 6 filters, then one of 16.",
    "network",
    64,
    6,
    needs=_OWN,
)
_KERNEL = Pick(
    "Kernel size",
    "The window of a convolution, which is padded to keep the size of the maps.",
    "network",
    {"1": "1x1", "3": "3x3", "5": "5x5", "7": "7x7"},
    needs=_OWN,
)
_ACTIVATION = Pick(
    "Activation",
    "What follows each convolution and each hidden dense layer.",
    "network",
    {name: cls.__name__ if cls else "none (linear)" for name, cls in ACTIVATIONS.items()},
    needs=_OWN,
)
_POOLING = Pick(
    "Pooling",
    "What halves the maps after each convolution, as long as they have 4 rows or more.",
    "network",
    {"max": "maximum", "avg": "average", "none": "none"},
    needs=_OWN,
)
_BATCHNORM = Pick("BatchNorm", "Before each activation.", "network", {"no": "no", "yes": "yes"}, needs=_OWN)
_DROPOUT = Number(
    "Dropout",
    "The part of the values before the last layer that is dropped at each step.",
    "network",
    high=1,
    needs=_OWN,
)
_UNITS = Wholes(
    "Dense layers",
    "Units of each hidden dense layer: 120-84 is two; empty is none.",
    "network",
    512,
    10,
    needs=_OWN,
)
_INIT = Number(
    "Initial weights",
    "Their size: 1 is He's initialization, 0 makes all weights 0.",
    "network",
    high=100.5,
    needs=_OWN,
)


def _option(option: Option, default: Any) -> Any:
    return field(default=default, metadata={"option": option})


@dataclass(frozen=True)
class Settings:
    """What a training from nothing depends on, apart from the opened network and the data."""

    optimizer: str = _option(_OPTIMIZER, "sgd")
    lr: float = _option(_LR, 0.05)
    momentum: float = _option(_MOMENTUM, 0.9)
    batch_size: int = _option(_BATCH_SIZE, 128)
    seed: int = _option(_SEED, 0)
    net: str = _option(_NET, "run")
    filters: tuple[int, ...] = _option(_FILTERS, (6, 16))
    kernel: str = _option(_KERNEL, "5")
    activation: str = _option(_ACTIVATION, "relu")
    pooling: str = _option(_POOLING, "max")
    batchnorm: str = _option(_BATCHNORM, "no")
    dropout: float = _option(_DROPOUT, 0.0)
    units: tuple[int, ...] = _option(_UNITS, (120, 84))
    init: float = _option(_INIT, 1.0)
    data: str = _option(_DATA, "run")
    images: str = _option(_IMAGES, "all")
    augment: str = _option(_AUGMENT, "no")

    def to_texts(self) -> dict[str, str]:
        """Return the values as `read_settings` takes them."""
        return {name: written(getattr(self, name)) for name in OPTIONS}


OPTIONS: dict[str, Option] = {one.name: one.metadata["option"] for one in fields(Settings)}


def read_settings(given: Any) -> Settings:
    """Return the settings of a request: texts or numbers by name; what is missing has its default.

    Raises
    ------
    TypeError, ValueError
        If it is no mapping, a name is unknown, or a value is none of its option's.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"settings must be an object, got {type(given).__name__}")
    unknown = given.keys() - OPTIONS.keys()
    if unknown:
        raise ValueError(
            f"settings must be {', '.join(OPTIONS)}; unknown: {', '.join(sorted(map(str, unknown)))[:100]}"
        )
    return Settings(**{name: OPTIONS[name].read(name, value) for name, value in given.items()})
