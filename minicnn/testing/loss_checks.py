"""`check_loss`: the gradient of a loss, its mean, and large predictions."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn.testing.report import fail_check, require_equal
from minicnn.testing.trials import (
    Labels,
    checked_shape,
    label_source,
    name_of,
    require_close,
    require_unchanged,
    run_trials,
)

STEP = 2.0**-17  # of central differences: their error is of the order of STEP**2
SCALES = {"normal": 1.0, "wide": 8.0, "small": 0.1}
LARGE = (1e4, -1e4)
MANY_EXAMPLES = 1030  # of a large batch


def check_loss(
    loss: Callable[[np.ndarray, Any], tuple[float, np.ndarray]],
    predictions_shape: Sequence[int],
    labels: Labels = "classes",
    *,
    predictions: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray] | None = None,
    mean: bool = True,
    rng: int = 0,
    batch_size: int = 5,
) -> None:
    """Check a loss `(predictions, labels) -> (value, dpredictions)`.

    Checked are the types of the results; that arguments stay as they are; the gradient against central
    differences, element by element; that the value is the mean over the examples, and the gradient that of
    the mean, also in a large batch; finite results for predictions of 10,000; and float32 against float64.

    Parameters
    ----------
    loss : callable
    predictions_shape : sequence of int
        Shape of the predictions for one example: (10,) for ten logits.
    labels : {"classes", "binary", "values"} or callable
        Class indices (N,), or zeros and ones or real numbers of the predictions' shape; or a function
        `(rng, shape)` that draws labels for predictions of that shape.
    predictions : callable, optional
        `(rng, shape)` that draws predictions, for a loss that is not defined everywhere, such as one of
        probabilities. Large ones are not tried then.
    mean : bool
        False for a loss that is the sum over the examples.
    rng : int
        Seed.
    batch_size : int
        Number of examples, at least 2.

    Raises
    ------
    LayerCheckError
        If a check fails, with a report.

    Examples
    --------
    >>> from minicnn.losses import softmax_cross_entropy
    >>> check_loss(softmax_cross_entropy, (10,))
    """
    __tracebackhide__ = True
    shape, draw_labels = checked_shape(predictions_shape, batch_size), label_source(labels)
    trial = _LossTrial(loss, shape, draw_labels, predictions, mean, rng)
    checks = ["results", "borrowed", "gradient", "mean", "batches", "finite", "float32"]
    run_trials(name_of(loss), shape, {check: getattr(trial, check) for check in checks})


class _LossTrial:
    def __init__(
        self, loss: Any, shape: tuple[int, ...], labels: Any, predictions: Any, mean: bool, seed: int
    ) -> None:
        self.loss, self.shape, self.labels, self.mean_of_examples = loss, shape, labels, mean
        self.predictions, self.rng = predictions, np.random.default_rng(seed)

    def draw(self, scale: float = 1.0) -> tuple[np.ndarray, Any]:
        """Return predictions in float64, and labels."""
        if self.predictions is not None:
            return np.asarray(self.predictions(self.rng, self.shape), np.float64), self.draw_labels()
        return scale * self.rng.standard_normal(self.shape), self.draw_labels()

    def draw_labels(self) -> np.ndarray:
        return np.asarray(self.labels(self.rng, self.shape))

    def call(self, p: np.ndarray, labels: Any) -> Any:
        """Call the loss, with labels that are floats in the dtype of the predictions."""
        return self.loss(p, labels.astype(p.dtype, copy=False) if labels.dtype.kind == "f" else labels)

    def results(self) -> None:
        p, labels = self.draw()
        for dtype in (np.float64, np.float32):
            result = self.call(p.astype(dtype), labels)
            if not isinstance(result, tuple) or len(result) != 2:
                fail_check("a loss must return (value, dpredictions)", got=type(result).__name__)
            value, gradient = result
            if np.ndim(value) or not np.isfinite(value):
                fail_check("the value must be one finite number", got=repr(value))
            if not isinstance(gradient, np.ndarray) or gradient.shape != p.shape:
                got = getattr(gradient, "shape", type(gradient).__name__)
                fail_check("the gradient must have the predictions' shape", got=got, expected=p.shape)
            if gradient.dtype != dtype:
                fail_check("the gradient must have the predictions' dtype", got=gradient.dtype)

    def borrowed(self) -> None:
        p, labels = self.draw()
        p_before, labels_before = p.copy(), labels.copy()
        value, gradient = self.loss(p, labels)
        require_unchanged(p_before, p, "predictions")
        require_unchanged(labels_before, labels, "labels")
        kept = gradient.copy()
        self.loss(*self.draw())
        require_equal(
            gradient, kept, "a later call overwrites the gradient", "dpredictions", "a shared buffer"
        )
        require_close(self.loss(p, labels)[0], value, "the same arguments give another value")

    def gradient(self) -> None:
        for kind, scale in SCALES.items():
            p, labels = self.draw(scale)
            gradient, numeric = self.loss(p, labels)[1], np.empty(p.shape)
            for index in np.ndindex(p.shape):
                above, below = p.copy(), p.copy()
                above[index] += STEP
                below[index] -= STEP
                numeric[index] = (self.loss(above, labels)[0] - self.loss(below, labels)[0]) / (2 * STEP)
            what = f"the gradient differs from central differences of the value, on {kind} predictions"
            require_equal(gradient, numeric, what, "dpredictions", _factor(gradient, numeric, p), rtol=1e-6)

    def mean(self) -> None:
        p, labels = self.draw()
        value, gradient = self.loss(p, labels)
        ones = [self.loss(p[i : i + 1], labels[i : i + 1])[0] for i in range(len(p))]
        expected = sum(ones) / (len(p) if self.mean_of_examples else 1)
        word, other = ("mean", "sum") if self.mean_of_examples else ("sum", "mean")
        hint = f"a {other} over the batch" if abs(value - sum(ones)) < 1e-9 * abs(value) else ""
        require_close(value, expected, f"the value is not the {word} of those of the examples", hint)
        order = np.arange(len(p))[::-1]
        turned = self.loss(p[order], labels[order])[1]
        require_equal(
            turned[order], gradient, "the gradient depends on the order of the examples", "dpredictions"
        )

    def batches(self) -> None:
        p, labels = self.draw()
        value, gradient = self.loss(p, labels)
        copies = -(-MANY_EXAMPLES // len(p))
        many = self.loss(*(np.concatenate([array] * copies) for array in (p, labels)))
        what = (
            f"of a batch of {len(many[1])} examples differs from that of {len(p)}, although examples repeat"
        )
        hint = "a limit on the batch size, or a sum in blocks whose rest is lost"
        expected = value if self.mean_of_examples else value * copies
        require_close(many[0], expected, f"the value {what}", hint)
        share = gradient / copies if self.mean_of_examples else gradient
        tiled = np.concatenate([share] * copies)
        require_equal(many[1], tiled, f"the gradient {what}", "dpredictions", hint, scale=1e-3 / copies)

    def finite(self) -> None:
        examples = {"a prediction": slice(None), "a prediction of one example": slice(1)}
        for size, (where, some) in itertools.product(LARGE, examples.items()):
            if self.predictions is not None:
                return
            p, labels = self.draw()
            p[some, ..., 0] += size
            value, gradient = self.loss(p, labels)
            if not (np.isfinite(value) and np.isfinite(gradient).all()):
                hint = "exp overflows or a logarithm of 0: subtract the maximum, combine log and softmax"
                if some != slice(None):
                    hint = "a maximum over the batch in place of each example, or a logarithm of 0"
                fail_check(f"value or gradient is not finite for {where} of {size:g}", hint=hint)

    def float32(self) -> None:
        p, labels = self.draw()
        single = p.astype(np.float32)
        value, gradient = self.call(single.astype(np.float64), labels)
        got, got_gradient = self.call(single, labels)
        require_close(got, value, "the value in float32 is inaccurate", rtol=1e-4)
        what = "the gradient in float32 is inaccurate"
        require_equal(got_gradient, gradient, what, "dpredictions", rtol=1e-4)


def _factor(gradient: np.ndarray, numeric: np.ndarray, p: np.ndarray) -> str:
    """Return the usual cause if the gradient is a multiple of the right one."""
    scale = float((gradient * numeric).sum() / max(float((numeric**2).sum()), 1e-300))
    if not np.allclose(gradient, scale * numeric, rtol=1e-5, atol=1e-9) or abs(scale - 1) < 1e-6:
        return ""
    causes = {float(len(p)): "the gradient of a sum over the batch, not of the mean", -1.0: "the sign"}
    causes |= {1 / len(p): "divided by the batch size once too often", 0.5: "a missing factor 2"}
    for factor, cause in causes.items():
        if abs(scale / factor - 1) < 1e-5:
            return cause
    return f"a constant factor: the gradient is {scale:.6g} times what it must be"
