"""The verdict on `lenet5`: its weights, predictions, loss, accuracy, initializer and training steps."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn.ops.padding import Pair
from minicnn.testing.grade.compare import Call
from minicnn.testing.grade.lenet5 import causes
from minicnn.testing.grade.lenet5.initial import wrong_kernels
from minicnn.testing.grade.lenet5.reference import LAYERS, RATE, Training, predictions, shapes
from minicnn.testing.grade.verdict import Verdict

SIGNATURES = {"Keras": "lenet5(X)", "TensorFlow": "lenet5(x, y)"}
SIZES: tuple[Pair, ...] = (28, 28), (20, 36)
_IMAGES, _RIGHT = 16, 6  # in a batch; labels that are made equal to the predictions
_CLOSE = 1e-4  # float32 of another library beside float64

Problem = tuple[str, str]  # what is wrong, and its usual cause


class FailedError(Exception):
    """The learner's function raised an error, or returned something else."""


def framework_of(parameters: list[str]) -> str:
    """Return for which of the two exercises a function is."""
    return "Keras" if len(parameters) == 1 else "TensorFlow" if len(parameters) == 2 else ""


def grade_lenet5(call: Call, parameters: list[str]) -> Verdict:
    """Test the net that a function builds, with its own weights, beside that of the exercise."""
    framework = framework_of(parameters)
    if not framework:
        given = f"lenet5({', '.join(parameters)})"
        wanted = "lenet5(x, y) in TensorFlow, and lenet5(X) in Keras"
        return Verdict(False, f"{given} has other parameters: the exercises want {wanted}")
    found: list[Problem] = []
    for size in SIZES:
        remote = RemoteNet(call, framework, size)
        images = f"{SIGNATURES[framework]} for images of {size[0]}x{size[1]}"
        try:
            found += [
                (f"{images} {text}", cause) for text, cause in _problems(remote, whole=size == SIZES[0])
            ]
        except FailedError as error:
            found.append((f"{images} {error}", _cause_of_error(str(error))))
        if found:
            break
    else:
        return Verdict(True, convention=f"in {framework}")
    cause = "; ".join(cause for _, cause in found if cause)
    if size != SIZES[0] and not cause:
        cause = f"it is right for {SIZES[0][0]}x{SIZES[0][1]} only: shapes must come from the images"
    return Verdict(False, "\n".join(text for text, _ in found), cause=cause)


class RemoteNet:
    """The net that a learner's function returns, in its process."""

    def __init__(self, call: Call, framework: str, size: Pair) -> None:
        self.call = call
        self.framework = framework
        self.size = size

    def ask(self, method: str, count: int, **named: Any) -> list[np.ndarray]:
        """Return so many arrays of numbers, or raise FailedError."""
        reply = self.call({"method": method, **named})
        if reply.problem:
            raise FailedError(reply.problem)
        for result in reply.results:
            if isinstance(result, str):
                raise FailedError(f"must return numbers, but a result {result}")
        if len(reply.results) != count:
            raise FailedError(f"gave {len(reply.results)} results where {count} are right ({method})")
        return reply.results

    def build(self) -> list[tuple[int, ...]]:
        """Call the learner's function; return the shapes of the weights, in their order."""
        (table,) = self.ask("build", 1, framework=self.framework, size=list(self.size))
        if table.ndim != 2 or table.dtype.kind != "i":
            raise FailedError("has weights of unknown shapes")
        return [tuple(int(n) for n in row if n) for row in table]

    def weights(self, method: str, order: list[int], **named: Any) -> list[np.ndarray]:
        """Return the weights in the order of the exercise's layers."""
        arrays, wanted = self.ask(method, len(order), **named), shapes(self.size)
        found = [arrays[place] for place in order]
        if [array.shape for array in found] != wanted or not all(np.isfinite(array).all() for array in found):
            raise FailedError("has weights that are not finite, or of other shapes than before")
        return found


def _problems(remote: RemoteNet, whole: bool) -> Iterator[Problem]:
    """Yield what is wrong with a net; `whole` tests how it begins and trains, too."""
    found, expected = remote.build(), shapes(remote.size)
    if sorted(found) != sorted(expected):
        lists = [", ".join(map(str, each)) for each in (expected, found[:12])]
        text = f"must have weights of the shapes {lists[0]}; it has {lists[1] or 'none'}"
        yield text, causes.cause_of_shapes(found, expected, remote.size)
        return
    order = [found.index(shape) for shape in expected]
    weights = remote.weights("weights", order)
    rng = np.random.default_rng(0)
    x = rng.random((_IMAGES, *remote.size, 1), np.float32)
    (p,) = remote.ask("predict", 1, x=x)
    wrong = _wrong_predictions(remote.size, weights, x, p)
    if wrong:
        yield wrong
        return
    y = p.argmax(axis=1)
    y[_RIGHT:] = (y[_RIGHT:] + 1 + rng.integers(0, 9, _IMAGES - _RIGHT)) % 10
    evaluated = list(_wrong_evaluation(remote, weights, x, y))
    yield from evaluated
    if whole:
        names, kind = wrong_kernels(weights)
        if names:
            yield (
                f"has kernels that he_normal does not draw: {names}",
                f"the kernels look like {kind}" * bool(kind),
            )
        yield from _wrong_steps(remote, order, weights, x, y, loss_is_right=not evaluated)


def _wrong_predictions(size: Pair, weights: list[np.ndarray], x: np.ndarray, p: np.ndarray) -> Problem | None:
    if p.shape != (len(x), 10):
        return f"must predict an array of shape ({len(x)}, 10) for {len(x)} images, got {p.shape}", ""
    if _close(p, predictions(size, weights, x)):
        return None
    text = "predicts other values than the layers of the exercise do with its weights"
    cause = (name for name, each in causes.DESIGNS.items() if _close(p, predictions(size, weights, x, each)))
    return text, next(cause, "")


def _wrong_evaluation(
    remote: RemoteNet, weights: list[np.ndarray], x: np.ndarray, y: np.ndarray
) -> Iterator[Problem]:
    p = predictions(remote.size, weights, x)
    loss, accuracy = remote.ask("evaluate", 2, x=x, y=y)
    share = _RIGHT / _IMAGES
    results: tuple[tuple[str, np.ndarray, float, dict[str, Callable[[Any, Any], float]], Any], ...] = (
        ("a loss", loss, causes.cross_entropy(p, y), causes.LOSSES, (p, y)),
        ("an accuracy", accuracy, share, causes.ACCURACIES, (share, len(y))),
    )
    for name, value, correct, known, arguments in results:
        if value.size != 1:
            yield f"must have {name} that is one number, got the shape {value.shape}", "the mean is missing"
        elif np.isnan(value).all():
            missing = "model.compile lacks metrics=['accuracy']" if remote.framework == "Keras" else ""
            yield f"must have {name}, but has none", missing
        elif not _close(value, correct):
            text = f"has {name} of {value.item():.4f} where {correct:.4f} is right"
            found = (cause for cause, f in known.items() if _close(value, f(*arguments)))
            yield text, next(found, "")


def _wrong_steps(
    remote: RemoteNet,
    order: list[int],
    weights: list[np.ndarray],
    x: np.ndarray,
    y: np.ndarray,
    loss_is_right: bool,
) -> Iterator[Problem]:
    """Yield what is wrong with three training steps."""
    training, before = Training(remote.framework, remote.size, weights), weights
    clear: list[np.ndarray] = []
    for step in range(3):
        batch = slice(step, step + 12)  # another one each time
        after = remote.weights("train", order, x=x[batch], y=y[batch])
        expected = training.step(x[batch], y[batch])
        if step == 0:
            still = [name for name, places in _pairs() if all((after[i] == weights[i]).all() for i in places)]
            if still:
                what = "nothing" if len(still) == len(LAYERS) else f"everything but {', '.join(still)}"
                cause = "the loss is not minimized" if what == "nothing" else ""
                yield f"changes {what} in a training step", cause
                return
            # A first step is the sign of the gradient, which rounding decides for the smallest ones.
            clear = [np.abs(g) > 0.01 * np.abs(g).max() for g in training.gradients]
        if not loss_is_right:
            return
        errors = [np.abs(a - b)[c].max(initial=0.0) for a, b, c in zip(after, expected, clear, strict=True)]
        if max(errors) > 0.05 * RATE * (step + 1):
            change = [a - b for a, b in zip(after, before, strict=True)]
            cause = causes.cause_of_step(change, training.gradients) if step == 0 else ""
            name = "Adam with its default hyperparameters, of the loss that it returns"
            yield f"does not make the steps of {name}: the weights differ after step {step + 1}", cause
            return
        before = after


def _pairs() -> Iterator[tuple[str, tuple[int, int]]]:
    """Yield the name of each layer and the places of its weights."""
    for i, name in enumerate(LAYERS):
        yield name, (2 * i, 2 * i + 1)


def _close(value: np.ndarray, expected: Any) -> bool:
    with np.errstate(all="ignore"):
        error = np.abs(value.astype(np.float64) - expected)
    return bool((error <= _CLOSE * max(1.0, float(np.abs(expected).max()))).all())


def _cause_of_error(text: str) -> str:
    """Return why older solutions fail in today's TensorFlow."""
    if "contrib" in text or "'placeholder'" in text or "has no attribute 'layers'" in text:
        return (
            "it is written for TensorFlow 1: `import tensorflow.compat.v1 as tf`, and "
            "tf.keras.initializers.VarianceScaling(scale=2.0) in place of tf.contrib"
        )
    if "_set_inputs" in text:
        return "it is written for Keras 2: K.Model(inputs=X, outputs=...) works in all versions"
    return ""
