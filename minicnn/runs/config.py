"""Everything that decides a training, with all defaults: what is trained, on what, and how.

Models, optimizers and schedules are known here by name, in closed tables: a config that was read from a
file can choose among them, and nothing else.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from minicnn.datasets import Augment
from minicnn.layers import Sequential
from minicnn.models import lenet5, lenet5_1998
from minicnn.optimizers import SGD, Adam, AdamW, Optimizer, RMSprop
from minicnn.schedules import Schedule, constant, cosine
from minicnn.validation import check_int, check_real

MODELS: dict[str, Callable[[int], Sequential]] = {"lenet5": lenet5, "lenet5-1998": lenet5_1998}
LEAST_SIZE = {"lenet5-1998": 32}  # smaller images are padded to this height and width

OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": AdamW,
    "adam": Adam,
    "rmsprop": RMSprop,
    "sgd": functools.partial(SGD, momentum=0.9, nesterov=True),
}
# Chosen on 5,000 held-out training images of MNIST, for LeNet-5 in 15 epochs without augmentation.
LEARNING_RATES = {"adamw": 3e-3, "adam": 2e-3, "rmsprop": 1e-3, "sgd": 0.05}
WEIGHT_DECAYS = {"adamw": 0.3}  # 0 for the others

SCHEDULES = ("cosine", "constant")
WARMUP = 0.05  # the share of all steps in which the cosine schedule's rate rises

AUGMENT = Augment(shift=2.0, rotation=10.0, shear=0.1, scale=0.1)

_MAX_SIDE, _MAX_CHANNELS, _MAX_CLASSES = 256, 64, 10_000  # keeps the nets of the table under a gigabyte
_MAX_THREADS, _MAX_NUMBER = 1024, 10**9  # each thread takes a copy of the net; no count is ever larger


@dataclass(frozen=True)
class TrainConfig:
    """The choices that make a run; together with the data they decide its weights.

    Parameters
    ----------
    model : str
        "lenet5" or "lenet5-1998".
    dataset : str
        "mnist", "fashion-mnist", or the path of a folder with four IDX files.
    data : str, optional
        Folder in which Fashion-MNIST is, where it is not found by itself.
    epochs, batch_size : int
        See `Trainer.fit`.
    optimizer : str
        "adamw", "adam", "rmsprop" or "sgd" (with Nesterov's momentum of 0.9).
    lr, weight_decay : float, optional
        The highest learning rate, and the decoupled decay; by default the optimizer's in the tables above.
    schedule : str
        "cosine", after a short warm-up, or "constant".
    augment : bool
        Whether the training images are distorted at random.
    seed : int
        Of the first weights, the order of the images, the augmentation and the held-out images.
    limit : int, optional
        Use only the first so many training images.
    validation : int
        So many training images are held out; the run is then judged by these, not by the test set.
    threads : int, optional
        See `Trainer`; by default as many as cores may be used.

    Raises
    ------
    TypeError, ValueError
        If a choice is of the wrong type, out of its range, or not in its table.

    Examples
    --------
    >>> config = TrainConfig(optimizer="sgd", epochs=2)
    >>> config.lr, config.batch_size
    (0.05, 128)
    """

    model: str = "lenet5"
    dataset: str = "mnist"
    data: str | None = None
    epochs: int = 15
    batch_size: int = 128
    optimizer: str = "adamw"
    lr: float | None = None
    weight_decay: float | None = None
    schedule: str = "cosine"
    augment: bool = False
    seed: int = 0
    limit: int | None = None
    validation: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(TrainConfig).items():
            _check_type(getattr(self, name), name, typing.get_args(hint) or (hint,))
        _one_of(self.model, "model", MODELS)
        _one_of(self.optimizer, "optimizer", OPTIMIZERS)
        _one_of(self.schedule, "schedule", SCHEDULES)
        check_int(self.seed, "seed")
        for name, low in {"epochs": 0, "batch_size": 1, "validation": 0, "limit": 1, "threads": 1}.items():
            value, high = getattr(self, name), _MAX_THREADS if name == "threads" else _MAX_NUMBER
            if value is not None and check_int(value, name, low) > high:
                shown = f"{value:,}" if value.bit_length() < 64 else f"one of {value.bit_length()} bits"
                raise ValueError(f"`{name}` must be at most {high:,}, got {shown}")
        rates = {
            "lr": LEARNING_RATES[self.optimizer] if self.lr is None else self.lr,
            "weight_decay": WEIGHT_DECAYS.get(self.optimizer, 0.0)
            if self.weight_decay is None
            else self.weight_decay,
        }
        for name, value in rates.items():
            object.__setattr__(
                self, name, check_real(value, name)
            )  # a frozen dataclass sets itself up this way

    def build_model(self, input_shape: tuple[int, ...], num_classes: int) -> Sequential:
        """Return the model, built for images of `input_shape`, with the seed's first weights.

        Raises
        ------
        ValueError
            If the shape does not suit the model, or it would be unreasonably large.
        """
        limits = (_MAX_SIDE, _MAX_SIDE, _MAX_CHANNELS)
        if len(input_shape) != 3 or any(size > most for size, most in zip(input_shape, limits, strict=True)):
            raise ValueError(
                f"images must have a shape (H, W, C) of at most {limits}, got {tuple(input_shape)}"
            )
        if not 1 <= num_classes <= _MAX_CLASSES:
            raise ValueError(f"there must be 1 to {_MAX_CLASSES:,} classes, got {num_classes:,}")
        return MODELS[self.model](num_classes).build(input_shape, rng=self.seed)

    def make_schedule(self, steps: int) -> Schedule:
        """Return the learning rate as a function of the step, for a training of so many steps."""
        lr = typing.cast(float, self.lr)
        if self.schedule == "constant":
            return constant(lr)
        warmup = math.floor(WARMUP * steps)
        return cosine(lr, max(steps - warmup, 1), warmup)

    def make_optimizer(self, images: int) -> Optimizer:
        """Return the optimizer for training on so many images."""
        schedule = self.make_schedule(self.epochs * math.ceil(images / self.batch_size))
        return OPTIMIZERS[self.optimizer](lr=schedule, weight_decay=self.weight_decay)

    def to_dict(self) -> dict[str, Any]:
        """Return all choices by name, as JSON can hold them."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, choices: dict[str, Any]) -> TrainConfig:
        """Return the config that `to_dict` gave.

        Choices that are missing, since an older version did not know them, get their defaults; but the model
        and the data set must be named, and nothing that is unknown.
        """
        unknown = choices.keys() - {field.name for field in dataclasses.fields(cls)}
        missing = {"model", "dataset"} - choices.keys()
        if unknown or missing:
            listed = ", ".join(sorted(unknown | missing))
            raise ValueError(f"a config must have the choices of `TrainConfig`; missing or unknown: {listed}")
        return cls(**choices)


def _check_type(value: Any, name: str, allowed: tuple[type, ...]) -> None:
    """Demand exactly one of these types; only an int may stand for a float (True is no number here)."""
    if type(value) not in allowed and not (float in allowed and type(value) is int):
        expected = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in allowed)
        raise TypeError(f"`{name}` must be {expected}, got {value!r}")


def _one_of(value: str, name: str, table: typing.Collection[str]) -> None:
    if value not in table:
        raise ValueError(f"`{name}` must be one of {', '.join(table)}, got {value!r}")
