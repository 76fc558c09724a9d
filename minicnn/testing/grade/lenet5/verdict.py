"""The verdict on `lenet5`: its weights, predictions, loss, accuracy, initializer and training steps."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minicnn.ops.padding import Pair
from minicnn.testing.grade.compare import Call
from minicnn.testing.grade.lenet5 import causes
from minicnn.testing.grade.lenet5.initial import wrong_kernels
from minicnn.testing.grade.lenet5.reference import predictions, shapes
from minicnn.testing.grade.lenet5.remote import FailedError, Problem, RemoteNet
from minicnn.testing.grade.lenet5.steps import IMAGES, wrong_training
from minicnn.testing.grade.verdict import Verdict

SIGNATURES = {"Keras": "lenet5(X)", "TensorFlow": "lenet5(x, y)"}
SIZES: tuple[Pair, ...] = (28, 28), (20, 36)
_RIGHT = 6  # labels of a batch that are made equal to the predictions
_CLOSE = 1e-4  # float32 of another library beside float64


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
    rng = np.random.default_rng()  # others each time: a file may have a table of the right results
    x = rng.random((IMAGES, *remote.size, 1), np.float32)
    (p,) = remote.ask("predict", 1, x=x)
    wrong = _wrong_predictions(remote.size, weights, x, p)
    if wrong:
        yield wrong
        return
    y = p.argmax(axis=1)
    y[_RIGHT:] = (y[_RIGHT:] + 1 + rng.integers(0, 9, IMAGES - _RIGHT)) % 10
    evaluated = list(_wrong_evaluation(remote, weights, x, y))
    yield from evaluated
    if whole:
        names, kind = wrong_kernels(weights)
        if names:
            yield (
                f"has kernels that he_normal does not draw: {names}",
                f"the kernels look like {kind}" * bool(kind),
            )
        yield from wrong_training(remote, order, weights, loss_is_right=not evaluated)


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
    share = _RIGHT / IMAGES
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
