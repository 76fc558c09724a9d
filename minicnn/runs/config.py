"""The configuration of a training, with its defaults.

Models, optimizers and schedules are chosen by name from the registries `MODELS`, `OPTIMIZERS` and
`SCHEDULES`, so that a configuration read from a file cannot name any other code.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from minicnn.datasets import DATASETS, Augment, AugmentPhotos
from minicnn.datasets.image_reader import RESIZES
from minicnn.layers import Sequential
from minicnn.losses import softmax_cross_entropy
from minicnn.models import MODELS
from minicnn.optimizers import OPTIMIZERS, Optimizer
from minicnn.runs.defaults import BATCH_SIZE, EPOCHS, default_batch_size, default_epochs
from minicnn.runs.user_code import is_builtin
from minicnn.schedules import Schedule, constant, cosine
from minicnn.suggestions import did_you_mean
from minicnn.validation import check_int, check_real

WARMUP = 0.05  # share of the steps in which the learning rate of the cosine schedule rises

_AUGMENT_GREY = Augment(background="edge")

_MAX_SIDE, _MAX_CHANNELS, _MAX_CLASSES = 256, 64, 10_000  # keep the models of the registry under a gigabyte
_MAX_THREADS, _MAX_NUMBER = 64, 10**9  # each thread takes a copy of the model


def _cosine(lr: float, steps: int) -> Schedule:
    warmup = math.floor(WARMUP * steps)
    return cosine(lr, max(steps - warmup, 1), warmup)


# Each makes the schedule of a training from its highest learning rate and its number of steps.
SCHEDULES: dict[str, Callable[[float, int], Schedule]] = {
    "cosine": _cosine,
    "constant": lambda lr, steps: constant(lr),
}


@dataclass(frozen=True)
class TrainConfig:
    """The configuration of a run; with the data, it determines the weights.

    Parameters
    ----------
    model : str
        A name in `minicnn.models.MODELS`, or FILE.py:NAME or MODULE:NAME, which only a command line executes.
    dataset : str
        A name in `minicnn.datasets.DATASETS`, or a path: of class folders of pictures, of a folder that one
        of `FOLDER_FORMATS` reads, or of an .npz file.
    data : str, optional
        Folder with the files of a named data set, for those that take one.
    labels : str, optional
        A CSV table of the pictures in the folder `dataset` and their classes, see `load_image_folder`.
    epochs, batch_size : int, optional
        See `Trainer.fit`. By default 15 and 128 for data sets by name; for others the largest power of two
        from 8 to 128 that makes at least 50 steps an epoch, and at least 500 steps.
    optimizer : str
        A name in `minicnn.optimizers.OPTIMIZERS`.
    lr, weight_decay : float, optional
        Highest learning rate and decoupled weight decay; by default those of the optimizer's entry. For data
        without a name, "sgd" takes its rate in proportion to the batch size, up to 128.
    schedule : str
        A name in `SCHEDULES`: "cosine", after a short warm-up, or "constant".
    label_smoothing : float
        See `softmax_cross_entropy`; in [0, 1). The loss of `evaluate` is without it.
    augment : bool
        Whether to distort the training images at random.
    seed : int
        Seed of the initial weights, the order of the images, the augmentation and the held-out images.
    limit : int, optional
        Use only `limit` training images: the first, or of a set of one's own some drawn by the seed.
    val_split : float, optional
        Share of the training images to hold out, of each class the same; they are drawn by the seed, and
        evaluated after each epoch. By default a tenth of a set of one's own without such a part, and none of
        sets by name or with the numbers of images of MNIST or CIFAR-10, whose parts are published.
    size : str, optional
        Height and width to which the pictures of class folders are brought, "32" or "24x32"; the default is
        32.
    channels : int, optional
        1 for grey pictures, 3 for colours; by default what the files of class folders hold.
    resize, background : str
        See `load_image_folder`.
    value_range : str, optional
        Values that become black and white, "0,4095"; see `load_image_folder`.
    skip_unreadable : bool
        Whether to leave out pictures that cannot be read.
    stream : bool
        Whether the training pictures of class folders are decoded batch by batch, since they are larger than
        memory. The numbers are the same.
    threads : int, optional
        See `Trainer`; by default all available cores.

    Raises
    ------
    TypeError, ValueError
        If a value has the wrong type, is out of range, or is not in its registry.

    Examples
    --------
    >>> config = TrainConfig(optimizer="sgd", epochs=2)
    >>> config.lr, config.batch_size
    (0.05, 128)
    """

    model: str = "lenet5"
    dataset: str = "mnist"
    data: str | None = None
    labels: str | None = None
    epochs: int | None = None
    batch_size: int | None = None
    optimizer: str = "adamw"
    lr: float | None = None
    weight_decay: float | None = None
    schedule: str = "cosine"
    label_smoothing: float = 0.0
    augment: bool = False
    seed: int = 0
    limit: int | None = None
    val_split: float | None = None
    size: str | None = None
    channels: int | None = None
    resize: str = "crop"
    background: str = "white"
    value_range: str | None = None
    skip_unreadable: bool = False
    stream: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, hint in typing.get_type_hints(TrainConfig).items():
            _check_type(getattr(self, name), name, typing.get_args(hint) or (hint,))
        is_builtin(self.model)
        _one_of(self.optimizer, "optimizer", OPTIMIZERS)
        _one_of(self.schedule, "schedule", SCHEDULES)
        check_int(self.seed, "seed")
        for name, low in {"epochs": 0, "batch_size": 1, "limit": 1, "threads": 1}.items():
            value, high = getattr(self, name), _MAX_THREADS if name == "threads" else _MAX_NUMBER
            if value is not None and check_int(value, name, low) > high:
                shown = f"{value:,}" if value.bit_length() < 64 else f"one of {value.bit_length()} bits"
                raise ValueError(f"`{name}` must be at most {high:,}, got {shown}")
        if self.val_split is not None:
            check_real(self.val_split, "val_split", high=1)
        self._set("label_smoothing", check_real(self.label_smoothing, "label_smoothing", high=1))
        if self.size is not None:
            parse_size(self.size)
        if self.value_range is not None:
            parse_range(self.value_range)
        if self.channels not in (None, 1, 3):
            raise ValueError(f"`channels` must be 1 or 3, got {self.channels}")
        _one_of(self.resize, "resize", RESIZES)
        for name in ("lr", "weight_decay"):
            if (value := getattr(self, name)) is not None:
                self._set(name, check_real(value, name))
        if self.weight_decay is None:
            self._set("weight_decay", OPTIMIZERS[self.optimizer].weight_decay)
        if self.dataset in DATASETS:
            self._fill(EPOCHS, BATCH_SIZE, OPTIMIZERS[self.optimizer].lr)

    def _fill(self, epochs: int, batch_size: int, lr: float) -> None:
        """Set those of these values that are None."""
        for name, default in {"epochs": epochs, "batch_size": batch_size, "lr": lr}.items():
            if getattr(self, name) is None:
                self._set(name, default)

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)  # a frozen dataclass can set itself only this way

    def for_images(self, images: int) -> TrainConfig:
        """Return this config with the default values for a number of training images, where it has none."""
        batch_size = self.batch_size or default_batch_size(images)
        entry = OPTIMIZERS[self.optimizer]
        lr = entry.lr * min(batch_size / BATCH_SIZE, 1) if entry.lr_per_image else entry.lr
        config = replace(self)
        config._fill(default_epochs(images, batch_size), batch_size, lr)
        return config

    def min_bytes(self, input_shape: tuple[int, ...], num_classes: int) -> int:
        """Return a lower bound of the bytes of the model's weights."""
        per_pixel, per_class = MODELS[self.model].min_bytes if self.model in MODELS else (0, 0)
        return per_pixel * math.prod(input_shape[:2]) + per_class * num_classes

    def build_model(self, input_shape: tuple[int, ...], num_classes: int) -> Sequential:
        """Return the model, built for images of `input_shape`, with the seed's initial weights.

        Raises
        ------
        ValueError
            If the shape does not fit the model, or the model would be unreasonably large.
        """
        limits = (_MAX_SIDE, _MAX_SIDE, _MAX_CHANNELS)
        if len(input_shape) != 3 or any(size > most for size, most in zip(input_shape, limits, strict=True)):
            raise ValueError(f"`input_shape` must be (H, W, C), at most {limits}, got {tuple(input_shape)}")
        if not 1 <= num_classes <= _MAX_CLASSES:
            raise ValueError(f"`num_classes` must be 1 to {_MAX_CLASSES:,}, got {num_classes:,}")
        return MODELS[self.model].make(num_classes).build(input_shape, rng=self.seed)

    def make_augment(self, input_shape: tuple[int, ...], own: bool) -> Augment | AugmentPhotos | None:
        """Return what distorts the training images, or None; own pictures may be in colour, or on white."""
        if not self.augment:
            return None
        if not own:
            return DATASETS[self.dataset].augment if self.dataset in DATASETS else Augment()
        return AugmentPhotos() if input_shape[2] == 3 else _AUGMENT_GREY

    def make_loss(self) -> Callable:
        """Return the loss that is minimized."""
        if not self.label_smoothing:
            return softmax_cross_entropy
        return functools.partial(softmax_cross_entropy, label_smoothing=self.label_smoothing)

    def make_schedule(self, steps: int) -> Schedule:
        """Return the learning rate as a function of the step, for a training of `steps` steps."""
        return SCHEDULES[self.schedule](typing.cast(float, self.lr), steps)

    def make_optimizer(self, images: int) -> Optimizer:
        """Return the optimizer for training on a number of images."""
        config = self.for_images(images)
        batches = math.ceil(images / typing.cast(int, config.batch_size))
        schedule = config.make_schedule(typing.cast(int, config.epochs) * batches)
        return OPTIMIZERS[self.optimizer].make(lr=schedule, weight_decay=self.weight_decay)

    def to_dict(self) -> dict[str, Any]:
        """Return all values by name, for JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> TrainConfig:
        """Return the config of values from `to_dict`.

        Missing values, which an older version did not have, get their defaults, except for the model and the
        data set. Unknown names are refused.
        """
        unknown = values.keys() - {field.name for field in dataclasses.fields(cls)}
        missing = {"model", "dataset"} - values.keys()
        if unknown or missing:
            listed = ", ".join(sorted(unknown | missing))
            raise ValueError(f"missing or unknown in a `TrainConfig`: {listed}")
        config = cls(**{"epochs": EPOCHS, "batch_size": BATCH_SIZE} | values)
        if "lr" not in values:
            config._set("lr", OPTIMIZERS[config.optimizer].lr)
        return config


def parse_size(text: str) -> tuple[int, int]:
    """Return (height, width) of a size such as "32" or "24x32".

    >>> parse_size("24x32")
    (24, 32)
    """
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() and side.isascii() for side in sides):
        raise ValueError(f"`size` must be N or HEIGHTxWIDTH, such as 32 or 24x32, got {text!r:.40}")
    height, width = int(sides[0][:9]), int(sides[-1][:9])
    if not 1 <= min(height, width) <= max(height, width) <= _MAX_SIDE:
        raise ValueError(f"`size` must be 1 to {_MAX_SIDE} in each direction, got {text!r:.40}")
    return height, width


def parse_range(text: str) -> tuple[float, float]:
    """Return (black, white) of a range such as "0,4095".

    >>> parse_range("0,4095")
    (0.0, 4095.0)
    """
    try:
        low, high = (float(end) for end in text.split(","))
    except ValueError:
        low = high = math.nan
    if not -math.inf < low < high < math.inf:  # also for NaN
        raise ValueError(f"`value_range` must be BLACK,WHITE, such as 0,4095, got {text!r:.40}")
    return low, high


def _check_type(value: Any, name: str, allowed: tuple[type, ...]) -> None:
    """Require exactly one of these types, except that an int may stand for a float; bool is not an int."""
    if type(value) not in allowed and not (float in allowed and type(value) is int):
        expected = " or ".join("None" if kind is type(None) else kind.__name__ for kind in allowed)
        raise TypeError(f"`{name}` must be {expected}, got {value!r}")


def _one_of(value: str, name: str, table: typing.Collection[str]) -> None:
    if value not in table:
        raise ValueError(
            f"`{name}` must be one of {', '.join(table)}, got {value!r}{did_you_mean(value, table)}"
        )
