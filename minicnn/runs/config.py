"""Everything that decides a training, with all defaults: what is trained, on what, and how.

Models, optimizers and schedules are chosen by name, from the registries `MODELS`, `OPTIMIZERS` and
`SCHEDULES`: a config that was read from a file can choose among their entries, and nothing else.
"""

from __future__ import annotations

import dataclasses
import math
import typing
from dataclasses import dataclass
from typing import Any

from minicnn.datasets import Augment
from minicnn.layers import Sequential
from minicnn.models import MODELS
from minicnn.optimizers import OPTIMIZERS, Optimizer
from minicnn.schedules import Schedule, constant, cosine
from minicnn.validation import check_int, check_real

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
        A name in `minicnn.models.MODELS`.
    dataset : str
        A name in `minicnn.datasets.DATASETS`, or the path of a folder that one of its `FOLDER_FORMATS` reads.
    data : str, optional
        Folder in which Fashion-MNIST is, where it is not found by itself.
    epochs, batch_size : int
        See `Trainer.fit`.
    optimizer : str
        A name in `minicnn.optimizers.OPTIMIZERS`.
    lr, weight_decay : float, optional
        The highest learning rate, and the decoupled decay; by default the optimizer's own.
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
        for name in ("lr", "weight_decay"):
            value = getattr(self, name)
            default = getattr(OPTIMIZERS[self.optimizer], name)
            # A frozen dataclass sets itself up this way.
            object.__setattr__(self, name, check_real(default if value is None else value, name))

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
        return MODELS[self.model].make(num_classes).build(input_shape, rng=self.seed)

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
        return OPTIMIZERS[self.optimizer].make(lr=schedule, weight_decay=self.weight_decay)

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
