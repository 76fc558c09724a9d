"""The network behind the page: one for the whole server, used by one request at a time."""

from __future__ import annotations

import os
import threading
from collections import deque
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.datasets.digits import digit_from_pixels
from minicnn.demo import inside
from minicnn.insight import Trace
from minicnn.layers import Flatten, Sequential
from minicnn.layers._inputs import to_input
from minicnn.losses import softmax_cross_entropy
from minicnn.ops.activations import softmax
from minicnn.optimizers import SGD
from minicnn.runs import TrainConfig, load_test_data, open_trained
from minicnn.runs.data import class_names, pad_to
from minicnn.saving import load_weights

WEIGHTS = Path(__file__).parent / "weights.safetensors"
RATE = 3e-4  # learning rate: a few steps correct a wrong prediction; a rate 30 times as large overshoots
_MAX_UNDO = 100  # steps; LeNet-5's weights take 250 KB each


class Session:
    """A network, the queries of the page, and training steps that can be undone.

    Parameters
    ----------
    model : Sequential
        A trained model for images of 28x28x1, or of the size to which `pad_to` pads them.
    config : TrainConfig
        Its training configuration, which names the data set.

    Raises
    ------
    ValueError
        If the model takes images of another size.
    """

    def __init__(self, model: Sequential, config: TrainConfig) -> None:
        shape = model.input_shape or ()
        if len(shape) != 3 or min(shape[:2]) < 28 or shape[2] != 1:
            raise ValueError(
                f"the demo needs a model for images of 28x28x1, but this one takes {model.input_shape}"
            )
        self.model = model.train()
        self.config = config
        self.names = model.class_names or class_names(config.dataset, model.output_shape[0])
        self._rng = np.random.default_rng()
        self._lock = threading.Lock()
        self._undo: deque[list[np.ndarray]] = deque(maxlen=_MAX_UNDO)

    def describe(self) -> dict[str, Any]:
        """Return the layers, classes and settings that the page shows."""
        layers = [
            {"name": type(layer).__name__, "text": repr(layer), "shape": layer.output_shape}
            | {"parameters": sum(p.size for p in layer.parameters())}
            for layer in self.model
        ]
        hidden = [i + 1 for i, layer in enumerate(self.model) if isinstance(layer, Flatten)]
        return {
            "model": self.config.model,
            "dataset": self.config.dataset,
            "input": self.model.input_shape,
            "layers": layers,
            "hidden": hidden,  # stages that show the same numbers as the one before
            "classes": self.names,
            "rate": RATE,
            "steps": len(self._undo),
        }

    def look(self, image: np.ndarray, number: int | None = None) -> dict[str, Any]:
        """Return all layers' outputs for an image, uint8 (28, 28, 1), and the gradient of a class's logit.

        Parameters
        ----------
        number : int, optional
            The class; by default the predicted class.
        """
        with self._lock:
            trace = self._trace(image)
            (probabilities,) = softmax(trace.outputs[-1])
            answer = int(probabilities.argmax())
            chosen = answer if number is None else number
            # Of the logit, since the derivative of a probability near 1 vanishes.
            only = np.zeros_like(trace.outputs[-1])
            only[0, chosen] = 1.0
            trace.backward(only)
        return {
            "answer": answer,
            "class": chosen,
            "probabilities": probabilities,
            "stages": [stage[0] for stage in (trace.x, *trace.outputs)],
            "gradient": trace.dx[0],
        }

    def explain(self, image: np.ndarray, stage: int, cell: tuple[int, ...]) -> dict[str, Any]:
        """Return how a cell was computed, see `inside.explain`; ValueError if there is no such cell."""
        if not 1 <= stage <= len(self.model):
            raise ValueError(f"`stage` must be 1 to {len(self.model)}, got {stage}")
        shape = self.model[stage - 1].output_shape
        if len(cell) != len(shape) or not all(0 <= i < n for i, n in zip(cell, shape, strict=True)):
            raise ValueError(f"`cell` must lie within {list(shape)}, got {list(cell)}")
        with self._lock:
            return inside.explain(self._trace(image), stage, cell)

    def backward(self, image: np.ndarray, label: int) -> dict[str, Any]:
        """Return the loss of an image, and its gradient with respect to each stage."""
        with self._lock:
            trace = self._trace(image)
            loss, dlogits = softmax_cross_entropy(trace.outputs[-1], [label])
            gradients = trace.backward(dlogits)
        return {"loss": loss, "stages": [gradient[0] for gradient in (trace.dx, *gradients)]}

    def step(self, image: np.ndarray, label: int) -> dict[str, Any]:
        """Make one step of plain gradient descent on one image; return the loss before and after it."""
        with self._lock:
            batch = self._batch(image)
            self.model.zero_grad()
            before, dlogits = softmax_cross_entropy(self.model(batch), [label])
            self.model.backward(dlogits)
            self._undo.append(self.model.get_weights())
            SGD(RATE).step(self.model.parameters())
            after, _ = softmax_cross_entropy(self.model(batch), [label])
            return {"before": before, "after": after, "steps": len(self._undo)}

    def undo(self) -> dict[str, Any]:
        """Undo the last training step, if there is one."""
        with self._lock:
            if self._undo:
                self.model.set_weights(self._undo.pop())
            return {"steps": len(self._undo)}

    def example(self, wrong: bool = False) -> dict[str, Any]:
        """Return a random test image, uint8 (28, 28, 1); with `wrong`, a misclassified one.

        Raises
        ------
        FileNotFoundError
            If the data set no longer exists.
        ValueError
            If no test image is misclassified.
        """
        with self._lock:
            images, labels = self._test
            choice = self._wrong if wrong else np.arange(len(images))
            if not len(choice):
                raise ValueError(
                    "the model classifies all test images correctly: there is no misclassified one"
                )
            index = int(self._rng.choice(choice))
        top, left = ((size - 28) // 2 for size in images.shape[1:3])  # the padding of `pad_to`
        image = images[index, top : top + 28, left : left + 28]
        return {"index": index, "label": int(labels[index]), "image": image}

    @cached_property
    def _test(self) -> tuple[np.ndarray, np.ndarray]:
        return load_test_data(self.config.dataset, self.config.data, self.config.model)

    @cached_property
    def _wrong(self) -> np.ndarray:
        """The indices of the misclassified test images, computed on first use."""
        images, labels = self._test
        return np.flatnonzero(self.model.predict(images).argmax(axis=1) != labels)

    def _trace(self, image: np.ndarray) -> Trace:
        return Trace(self.model, self._batch(image))

    def _batch(self, image: np.ndarray) -> np.ndarray:
        return to_input(self.model, pad_to(image[np.newaxis], (self.model.input_shape or ())[:2]))


def open_session(folder: str | os.PathLike[str] | None = None) -> Session:
    """Return a session with the model of a run folder or model file; by default, with this package's."""
    if folder is not None:
        run = open_trained(folder)
        return Session(run.model, run.config)
    config = TrainConfig(seed=0, augment=True)
    model = config.build_model((28, 28, 1), 10)
    load_weights(model, WEIGHTS)
    return Session(model, config)


def read_drawing(pixels: np.ndarray) -> np.ndarray | None:
    """Return a drawing, uint8 (H, W), prepared as MNIST's digits were, or None if it is empty."""
    if pixels.max() <= 30:
        return None
    return digit_from_pixels(np.pad(pixels, 1))  # a border, so that strokes that touch the edge count as ink
