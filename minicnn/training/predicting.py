"""Predictions and scores of a trainer's model, on all threads."""

import functools
from typing import cast

import numpy as np

from minicnn.parallel.prediction import parallel_predict
from minicnn.safeguards.claims import reading
from minicnn.safeguards.inputs import check_classes, trained_classes
from minicnn.training.evaluation import score
from minicnn.training.inputs import check_data
from minicnn.training.sources import Examples, ExampleSource, is_source, labels_of, predict_part
from minicnn.training.stepping import Stepper
from minicnn.validation import check_sample_weight


class Predictor(Stepper):
    """A base of `Trainer`: what it does with a model that is trained."""

    __slots__ = ()

    def evaluate(
        self,
        x: np.ndarray | ExampleSource,
        y: np.ndarray | None = None,
        batch_size: int | None = None,
        sample_weight: np.ndarray | None = None,
    ) -> dict[str, float]:
        """Return loss and metrics over all of `x`, in evaluation mode; `batch_size` as of `Layer.predict`."""
        data = check_data(x, y, self.model)
        check_classes(x, "`x`", trained_classes(self.model))
        labels = labels_of(data)
        weights = None if sample_weight is None else check_sample_weight(sample_weight, len(labels))
        return score(self._predict(data, batch_size), labels, self.loss, self.metrics, weights)

    def predict(self, x: np.ndarray | ExampleSource, batch_size: int | None = None) -> np.ndarray:
        """Return the model's outputs for all of `x`, see `Layer.predict`; the threads share the work."""
        if is_source(x):
            return self._predict(check_data(x, None, self.model), batch_size)
        return parallel_predict(self.model, cast(np.ndarray, x), batch_size, self.threads)

    def _predict(self, data: ExampleSource | Examples, batch_size: int | None) -> np.ndarray:
        with reading(self.model, copied=True) as (model, _):  # all parts are predicted with the same weights
            predict = functools.partial(parallel_predict, model, batch_size=batch_size, threads=self.threads)
            return predict_part(data, predict, slice(0, len(labels_of(data))))
