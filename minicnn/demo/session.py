"""A network behind the page, used by one request at a time: queries, and training steps with their undo."""

from __future__ import annotations

import copy
import os
import threading
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np

from minicnn.demo import inside
from minicnn.demo.headings import heading
from minicnn.demo.inputs import Inputs
from minicnn.insight import Trace
from minicnn.insight.trace import unnested
from minicnn.layers import Sequential, Softmax
from minicnn.losses import softmax_cross_entropy
from minicnn.ops.activations import softmax
from minicnn.optimizers import SGD
from minicnn.runs import TrainConfig, open_trained
from minicnn.runs.data import class_names
from minicnn.saving import load_weights
from minicnn.saving.preprocessing import DIGIT

WEIGHTS = Path(__file__).parent / "weights.safetensors"
RATE = 3e-4  # learning rate: a few steps correct a wrong prediction; a rate 30 times as large overshoots
_MAX_UNDO = 100  # steps; LeNet-5's weights take 250 KB each
_TRACE_BYTES = 8 << 20  # of the outputs of all layers for the last image
_UNDO_BYTES = 32 << 20  # of the weights that are kept for undoing single steps


class Session:
    """A network, the queries of the page, and training steps that can be undone.

    Parameters
    ----------
    model : Sequential
        A trained classifier of images of 1 or 3 channels. A Softmax at its end is left away, since the page
        shows logits, and the Softmax after them. It is not changed: only a `fork` can be taught.
    config : TrainConfig
        Its training configuration, which names the data set.

    Raises
    ------
    ValueError
        If the model takes other inputs, or is no classifier.
    """

    def __init__(self, model: Sequential, config: TrainConfig) -> None:
        shape, outputs = model.input_shape or (), model.output_shape
        if len(shape) != 3 or shape[2] not in (1, 3):
            raise ValueError(
                f"the demo needs a model for images (H, W, 1) or (H, W, 3), but this one takes {shape}"
            )
        if len(outputs) != 1 or outputs[0] < 2:
            raise ValueError(
                f"the demo needs a classifier with a logit for each class, but this one returns {outputs}"
            )
        self.model = _flattened(model)
        self.config = config
        self.names = model.class_names or class_names(config.dataset, outputs[0])
        self.name = config.model.removesuffix(":model")  # a model file is FILE:model in its configuration
        self.inputs = Inputs(model, config)
        self.steps = 0
        self._start = self.model.get_weights()
        size = sum(weight.nbytes for weight in self._start)
        self._undo: deque[list[np.ndarray]] = deque(
            maxlen=min(_MAX_UNDO, max(1, _UNDO_BYTES // max(size, 1)))
        )
        self._misread: np.ndarray | None = None
        self._traced: tuple[tuple[str, bytes], Trace] | None = None  # the last image
        self._rng = np.random.default_rng()
        self._lock = threading.Lock()

    def fork(self) -> Session:
        """Return a session with a copy of the network, which shares the test images."""
        with self._lock:
            twin = Session(copy.deepcopy(self.model), self.config)
            twin.names, twin.inputs, twin._misread = self.names, self.inputs, self._misread
        return twin

    def describe(self) -> dict[str, Any]:
        """Return the layers, classes and settings that the page shows."""
        return {
            "model": self.name,
            "dataset": self.config.dataset,
            "input": self.model.input_shape,
            "layers": [heading(layer) for layer in self.model],
            "classes": self.names,
            "draws": self.inputs.drawn,
            "examples": self.inputs.has_examples,
            "rate": RATE,
            **self._taught(),
        }

    def _taught(self) -> dict[str, int]:
        return {"steps": self.steps, "undoable": len(self._undo)}

    def look(self, image: np.ndarray, number: int | None = None) -> dict[str, Any]:
        """Return all layers' outputs for an image and the gradient of a class's logit.

        Parameters
        ----------
        image : ndarray, of the model's input shape
            uint8, or floats as the model takes them.
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
            # One cell after the other of an image is asked for: each would need all layers' outputs again.
            kept = self._traced
            trace = kept[1] if kept and kept[0] == _key(image) else self._trace(image)
            return inside.explain(trace, stage, cell)

    def backward(self, image: np.ndarray, label: int) -> dict[str, Any]:
        """Return the loss of an image, and its gradient with respect to each stage."""
        with self._lock:
            trace = self._trace(image)
            loss, dlogits = softmax_cross_entropy(trace.outputs[-1], [label])
            gradients = trace.backward(dlogits)
        return {"loss": loss, "stages": [gradient[0] for gradient in (trace.dx, *gradients)]}

    def step(self, image: np.ndarray, label: int) -> dict[str, Any]:
        """Make one step of plain gradient descent on one image; return loss and answer before and after it.

        The gradient is that of evaluation mode, as everywhere on the page: Dropout drops nothing, and
        BatchNorm keeps its statistics.
        """
        with self._lock:
            trace = self._new_trace(image)
            before, dlogits = softmax_cross_entropy(trace.outputs[-1], [label])
            trace.backward(dlogits)
            self._undo.append(self.model.get_weights())
            self.model.zero_grad()
            gradients = [p.grad for layer in trace.layers for p in layer.parameters()]
            for parameter, gradient in zip(self.model.parameters(), gradients, strict=True):
                parameter.add_grad(gradient)
            SGD(RATE).step(self.model.parameters())
            self._changed(self.steps + 1)
            logits = self._trace(image).outputs[-1]
            after, _ = softmax_cross_entropy(logits, [label])
        answers = {"was": softmax(trace.outputs[-1])[0], "now": softmax(logits)[0]}
        return {"before": before, "after": after, **answers, **self._taught()}

    def undo(self) -> dict[str, Any]:
        """Undo the last training step, if there is one that can be undone."""
        with self._lock:
            if self._undo:
                self.model.set_weights(self._undo.pop())
                self._changed(self.steps - 1)
            return self._taught()

    def undo_all(self) -> dict[str, Any]:
        """Undo all training steps, also those too long ago for `undo`."""
        with self._lock:
            if self.steps:
                self.model.set_weights(self._start)
                self._undo.clear()
                self._changed(0)
            return self._taught()

    def example(self, wrong: bool = False) -> dict[str, Any]:
        """Return a random test image; with `wrong`, one that the network misclassifies as it is now.

        Raises
        ------
        FileNotFoundError
            If the data set no longer exists.
        ValueError
            If no test image is misclassified.
        """
        with self._lock:
            images, labels = self.inputs.examples
            choice = np.arange(len(images))
            if wrong:
                if self._misread is None:
                    self._misread = np.flatnonzero(self.model.predict(images).argmax(axis=1) != labels)
                choice = self._misread
            if not len(choice):
                raise ValueError(
                    "the model classifies all test images correctly: there is no misclassified one"
                )
            index = int(self._rng.choice(choice))
        found = {"of": len(images)} | ({"wrong": len(choice)} if wrong else {})
        return {"index": index, "label": int(labels[index]), "image": images[index], **found}

    def trace(self, image: np.ndarray) -> Trace:
        """Return the trace of an image through a copy of the network."""
        with self._lock:
            return self._new_trace(image)

    def _new_trace(self, image: np.ndarray) -> Trace:
        return Trace(self.model, self.inputs.to_batch(image))

    def _trace(self, image: np.ndarray) -> Trace:
        """Return a trace that computes no gradients of weights, and keep it for `explain`."""
        trace = self._new_trace(image)
        for layer in trace.layers:
            layer.trainable = False
        # Every browser that teaches has a network of its own: large ones do not keep a trace each.
        keeps = not self.steps or sum(output.nbytes for output in trace.outputs) <= _TRACE_BYTES
        self._traced = (_key(image), trace) if keeps else None
        return trace

    def _changed(self, steps: int) -> None:
        """Take note of new weights, after this many steps."""
        self.steps, self._misread, self._traced = steps, None, None


def _key(image: np.ndarray) -> tuple[str, bytes]:
    return image.dtype.str, image.tobytes()


def _flattened(model: Sequential) -> Sequential:
    """Return the layers, also those of nested Sequential, in one; without a Softmax at the end."""
    layers = unnested(model)
    while isinstance(layers[-1], Softmax):
        layers.pop()
    flat = Sequential(layers)
    flat.input_shape, flat.output_shape, flat.dtype = model.input_shape, layers[-1].output_shape, model.dtype
    flat.class_names, flat.preprocessing = model.class_names, model.preprocessing
    return flat.eval()


def open_session(folder: str | os.PathLike[str] | None = None) -> Session:
    """Return a session with the model of a run folder or model file; by default, with this package's."""
    if folder is not None:
        run = open_trained(folder)
        return Session(run.model, run.config)
    config = TrainConfig(seed=0, augment=True)
    model = config.build_model((28, 28, 1), 10)
    load_weights(model, WEIGHTS)
    model.preprocessing = DIGIT
    return Session(model, config)
