"""A trained run, evaluated: what a report is about."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from minicnn.ops.activations import softmax
from minicnn.plural import counted
from minicnn.runs.folder import Run
from minicnn.runs.wording import percent


@dataclass(frozen=True)
class Evaluation:
    """A trained run, evaluated on images of one part of its data."""

    run: Run
    part: str
    images: np.ndarray
    labels: np.ndarray
    scores: dict[str, float]
    logits: np.ndarray

    @property
    def headline(self) -> str:
        """The scores in one sentence."""
        config, accuracy = self.run.config, self.scores["accuracy"]
        return (
            f"{self.run.title} on {config.dataset}: {percent(accuracy)} of "
            f"{counted(len(self.images), f'{self.part} image'.strip())} right, {percent(1 - accuracy)} wrong"
        )

    @cached_property
    def names(self) -> list[str]:
        """The names of the classes."""
        return self.run.class_names

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Shape (N, K)."""
        return softmax(self.logits)

    @cached_property
    def mistakes(self) -> np.ndarray:
        """The indices of the images that are classified wrongly."""
        return np.flatnonzero(self.probabilities.argmax(axis=1) != self.labels)

    @property
    def example(self) -> int:
        """The index of the mistake with the highest probability; without mistakes, of the first image."""
        if not self.mistakes.size:
            return 0
        return int(self.mistakes[self.probabilities[self.mistakes].max(axis=1).argmax()])
