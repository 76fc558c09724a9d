"""What a run recorded, in words and rounded numbers: rows of tables for people."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

from minicnn.datasets import DATASETS
from minicnn.plural import counted

# What only pictures from files use: how they are read and brought to one size.
_OF_PICTURES = ("labels", "size", "channels", "resize", "background", "skip_unreadable")

# How each value of `result.json` and `config.json` is called and written; others keep their names.
_WORDS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "epochs": ("epochs", lambda n: f"{n:,}"),
    "steps": ("steps", lambda n: f"{n:,}"),
    "seconds": ("time", lambda seconds: duration(seconds)),
    "images_per_second": ("speed", lambda rate: f"{float(f'{rate:.3g}'):,.0f} images a second"),
    "peak_memory_mb": ("peak memory", lambda size: f"{size:,.0f} MB"),
    "parameters": ("parameters", lambda n: f"{n:,}"),
    "ranks": ("processes", lambda n: f"{n:,}"),
    "threads": ("threads of each", lambda n: f"{n:,}"),
    "dataset": ("data set", str),
    "data": ("folder of the data", str),
    "labels": ("table of the classes", str),
    "batch_size": ("batch size", lambda n: counted(n, "image")),
    "lr": ("highest learning rate", lambda rate: f"{rate:g}"),
    "weight_decay": ("weight decay", lambda decay: f"{decay:g}"),
    "label_smoothing": ("label smoothing", lambda share: f"{share:g}"),
    "augment": ("augmentation", lambda on: _plain(on)),
    "limit": ("limit", lambda n: counted(n, "training image")),
    "val_split": ("held out for validation", lambda share: f"{100 * share:g} % of the training images"),
}


def in_words(values: Mapping[str, Any]) -> dict[str, str]:
    """Return values under their names for people; those that are None are left out.

    >>> in_words({"peak_memory_mb": 170.3, "augment": False, "seed": 0, "limit": None})
    {'peak memory': '170 MB', 'augmentation': 'no', 'seed': '0'}
    """
    rows = {}
    for key, value in values.items():
        if value is not None:
            name, write = _WORDS.get(key, (key.replace("_", " "), _plain))
            try:
                rows[name] = write(value)
            except (TypeError, ValueError, OverflowError):  # a file that was edited by hand
                rows[name] = _plain(value)
    return rows


def config_in_words(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the rows of a configuration, without what its data do not use."""
    unused = _OF_PICTURES if config.get("dataset") in DATASETS else ()
    return in_words({key: value for key, value in config.items() if key not in unused})


def software_in_words(environment: Any) -> dict[str, str]:
    """Return the rows of a run's environment, see `minicnn.saving.fingerprint.environment`.

    >>> software_in_words({"python": "3.11.7", "blas": [{"internal_api": "openblas", "num_threads": 2}]})
    {'python': '3.11.7', 'BLAS': 'openblas, 2 threads'}
    """
    if not isinstance(environment, Mapping):
        return {}
    rows = {name: _plain(value) for name, value in environment.items() if name != "blas"}
    if isinstance(pools := environment.get("blas"), list):
        rows["BLAS"] = "; ".join(
            ", ".join(
                _plain(value) + (" threads" if key == "num_threads" else "") for key, value in pool.items()
            )
            for pool in pools
            if isinstance(pool, Mapping)
        )
    return rows


def duration(seconds: float) -> str:
    """Return a time in its two largest units.

    >>> duration(3.615), duration(59.7), duration(125), duration(7260.0)
    ('3.6 s', '1 min 0 s', '2 min 5 s', '2 h 1 min')
    """
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if not minutes:
        return f"{rest} s"
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def percent(share: float) -> str:
    """Return a share in per cent; of a rare mistake, the digits that it needs.

    >>> percent(0.9718), percent(1.0), percent(0.00002)
    ('97.18 %', '100 %', '0.002 %')
    """
    value = 100 * share
    if value in (0, 100) or not math.isfinite(value):
        return f"{value:.0f} %"
    return f"{value:.2f} %" if value >= 0.01 else f"{value:.1g} %"


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)
