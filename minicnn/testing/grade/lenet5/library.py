"""What the process of a file runs that defines `lenet5`: it builds the net, runs it, and trains it.

`child.py` calls these functions for the parent process. They know inputs and nothing of the expected results:
weights, predictions, loss and accuracy go out as arrays. NumPy and the standard library only; TensorFlow is
imported by the learner's file.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

CLASSES = 10
_WEIGHTS = 10  # of the exercise's layers


class WrongResultError(Exception):
    """What is wrong with what the function returned; the text continues "lenet5(X) ..."."""


def requests(module: Any, names: dict[str, Any]) -> dict[str, Callable[..., Any]]:
    """Return what the parent process may call, by name; `names` has those of `tf_layers.py`."""
    built: list[Any] = []

    def build(framework: str, size: tuple[int, int]) -> np.ndarray:
        """Call `lenet5` for images of a size; return the shapes of the trainable weights, filled up by 0."""
        built[:] = [_FRAMEWORKS[framework](module.lenet5, *size, names["layers"])]
        shapes = [weight.shape for weight in built[0].weights()]
        return np.array([[*shape, 0, 0, 0, 0][:4] for shape in shapes[:100]], np.int64).reshape(-1, 4)

    def weights() -> tuple[np.ndarray, ...]:
        """Return the weights of the net that was built."""
        return tuple(np.asarray(weight) for weight in built[0].weights()[:_WEIGHTS])

    def predict(x: np.ndarray) -> np.ndarray:
        """Return the predictions for images."""
        return np.asarray(built[0].predict(x))

    def evaluate(x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        """Return loss and accuracy for images and labels; NaN for one that the net does not have."""
        return built[0].evaluate(x, y)

    def train(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
        """Make a training step; return the weights after it."""
        built[0].train(x, y)
        return weights()

    called = (build, weights, predict, evaluate, train)
    return {f"lenet5.{function.__name__}": function for function in called}


class KerasNet:
    """What `lenet5(X)` returns."""

    def __init__(self, function: Callable[..., Any], height: int, width: int, layers: Any) -> None:
        import keras

        keras.utils.clear_session()
        self.model = model = function(keras.Input(shape=(height, width, 1)))
        if not isinstance(model, keras.Model):
            raise WrongResultError(f"must return a compiled keras.Model, but returned {_named(model)}")
        if not model.compiled:
            raise WrongResultError("returned a model that is not compiled: call model.compile before")
        if not model.built:
            model.build((None, height, width, 1))
        model.run_eagerly = True  # no time is spent on graphs for a few batches

    def weights(self) -> list[np.ndarray]:
        """Return the trainable weights."""
        return [weight.numpy() for weight in self.model.trainable_weights]

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the predictions."""
        return self.model(x, training=False).numpy()

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
        """Return loss and accuracy."""
        self.model.reset_metrics()
        found = self.model.test_on_batch(x, _one_hot(y), return_dict=True)
        accuracy = [value for key, value in found.items() if key.startswith("acc")]
        return float(found["loss"]), float(accuracy[0]) if accuracy else math.nan

    def train(self, x: np.ndarray, y: np.ndarray) -> None:
        """Make a step."""
        self.model.train_on_batch(x, _one_hot(y))


class TensorFlowNet:
    """What `lenet5(x, y)` returns, in a graph and a session of its own."""

    def __init__(self, function: Callable[..., Any], height: int, width: int, layers: Any) -> None:
        import tensorflow

        self.tf = tf = tensorflow.compat.v1
        if not hasattr(tf.layers, "Conv2D"):  # TensorFlow 2.16 and later
            tf.layers = layers(tf)
        graph = tf.Graph()
        with graph.as_default():
            self.x = tf.placeholder(tf.float32, (None, height, width, 1))
            self.y = tf.placeholder(tf.int32, (None,))
            returned = function(self.x, tf.one_hot(self.y, CLASSES))
            self.variables = tf.trainable_variables()
            start = tf.global_variables_initializer()
        wanted = "y_pred, train_op, loss, accuracy"
        if not isinstance(returned, tuple | list):
            raise WrongResultError(f"must return {wanted}, but returned {_named(returned)}")
        if len(returned) != 4:
            raise WrongResultError(f"must return {wanted}, but returned {len(returned)} results")
        self.y_pred, self.train_op, self.loss, self.accuracy = returned
        self.session = tf.Session(graph=graph)
        self.session.run(start)

    def weights(self) -> list[np.ndarray]:
        """Return the trainable weights."""
        return self.session.run(self.variables)

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the predictions."""
        return self._run("y_pred", self.y_pred, x, np.zeros(len(x), int))

    def evaluate(self, x: np.ndarray, y: np.ndarray) -> tuple[Any, Any]:
        """Return loss and accuracy."""
        return self._run("loss", self.loss, x, y), self._run("accuracy", self.accuracy, x, y)

    def train(self, x: np.ndarray, y: np.ndarray) -> None:
        """Make a step."""
        self._run("train_op", self.train_op, x, y)

    def _run(self, name: str, result: Any, x: np.ndarray, y: np.ndarray) -> Any:
        kinds = (self.tf.Tensor, self.tf.Operation) if name == "train_op" else self.tf.Tensor
        if not isinstance(result, kinds):
            raise WrongResultError(f"must return a tensor as {name}, but it is {_named(result)}")
        return self.session.run(result, {self.x: x, self.y: y})


_FRAMEWORKS: dict[str, Callable[..., Any]] = {"Keras": KerasNet, "TensorFlow": TensorFlowNet}


def _one_hot(y: np.ndarray) -> np.ndarray:
    return np.eye(CLASSES, dtype=np.float32)[y]


def _named(value: Any) -> str:
    """Return what a value is, for people: "None", "a tuple", "an Operation"."""
    name = type(value).__name__
    return "None" if value is None else f"a{'n' * (name[0] in 'AEIOUaeiou')} {name}"
