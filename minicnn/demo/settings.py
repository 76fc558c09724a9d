"""The settings of a training from nothing, as the page's address holds them."""

from dataclasses import dataclass

from minicnn.optimizers import OPTIMIZERS
from minicnn.validation import check_int, check_real


@dataclass(frozen=True)
class Settings:
    """What a training from nothing depends on, apart from architecture and data."""

    optimizer: str = "sgd"
    lr: float = 0.05
    batch_size: int = 128
    seed: int = 0

    def __post_init__(self) -> None:
        if not isinstance(self.optimizer, str) or self.optimizer not in OPTIMIZERS:
            raise ValueError(
                f"`optimizer` must be one of {', '.join(OPTIMIZERS)}, got {self.optimizer!s:.40}"
            )
        check_real(self.lr, "lr", high=1000, above_low=True)
        if check_int(self.batch_size, "batch_size", low=1) > 4096:
            raise ValueError("`batch_size` must be at most 4096, got more")
        if check_int(self.seed, "seed") >= 1 << 32:
            raise ValueError("`seed` must be below 2**32")
