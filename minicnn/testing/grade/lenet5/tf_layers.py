"""Those of `tf.layers` that the exercise `lenet5(x, y)` needs: TensorFlow has them no more since 2.16.

The process of a learner's file runs this beside `library.py`.
"""

import math
from types import SimpleNamespace
from typing import Any


class _Layers(SimpleNamespace):
    """A namespace that says what it has."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"tf.layers.{name} does not exist in TensorFlow 2.16 and later; `minicnn grade` provides "
            f"{', '.join(name for name in vars(self))}"
        )


def layers(tf: Any) -> _Layers:
    """Return a replacement for `tf.layers`, made of operations of `tf`."""
    kinds = (Conv2D, MaxPooling2D, AveragePooling2D, Flatten, Dense)
    found = _Layers(**{kind.__name__: type(kind.__name__, (kind,), {"tf": tf}) for kind in kinds})
    for name, kind in _FUNCTIONS.items():
        setattr(found, name, _function(getattr(found, kind)))
    return found


_FUNCTIONS = {
    "conv2d": "Conv2D",
    "max_pooling2d": "MaxPooling2D",
    "average_pooling2d": "AveragePooling2D",
    "flatten": "Flatten",
    "dense": "Dense",
}


def _function(kind: Any) -> Any:
    """Return the function of a layer: it gets the inputs first."""
    return lambda inputs, *arguments, **named: kind(*arguments, **named)(inputs)


class _WithWeights:
    """A layer with a kernel and a bias."""

    tf: Any

    def _product(self, inputs: Any, kernel: Any) -> Any:
        raise NotImplementedError

    def _weighted(self, inputs: Any, shape: tuple[int, ...], given: dict[str, Any]) -> Any:
        activation, use_bias = given.pop("activation", None), given.pop("use_bias", True)
        kernel, bias = given.pop("kernel_initializer", None), given.pop("bias_initializer", None)
        given.pop("name", None)
        if given:
            raise TypeError(f"tf.layers.{type(self).__name__} has no {', '.join(given)} in `minicnn grade`")
        tf, keras = self.tf, self.tf.keras
        if isinstance(activation, str):
            activation = getattr(tf.nn, activation)
        kernel, bias = (keras.initializers.get(v) if isinstance(v, str) else v for v in (kernel, bias))
        with tf.variable_scope(None, default_name=type(self).__name__.lower()):
            z = self._product(inputs, tf.get_variable("kernel", shape, initializer=kernel))
            if use_bias:
                zeros = tf.zeros_initializer()
                z = tf.nn.bias_add(z, tf.get_variable("bias", shape[-1:], initializer=bias or zeros))
        return activation(z) if activation else z


class Conv2D(_WithWeights):
    """A convolution."""

    def __init__(
        self, filters: int, kernel_size: Any, strides: Any = 1, padding: str = "valid", **given: Any
    ) -> None:
        self.filters, self.kernel_size = filters, _pair(kernel_size)
        self.strides, self.padding, self.given = _pair(strides), padding.upper(), given

    def __call__(self, inputs: Any) -> Any:
        """Return the output."""
        shape = (*self.kernel_size, int(inputs.shape[-1]), self.filters)
        return self._weighted(inputs, shape, dict(self.given))

    def _product(self, inputs: Any, kernel: Any) -> Any:
        return self.tf.nn.conv2d(inputs, kernel, strides=[1, *self.strides, 1], padding=self.padding)


class Dense(_WithWeights):
    """A fully connected layer."""

    def __init__(self, units: int, activation: Any = None, **given: Any) -> None:
        self.units, self.given = units, given | {"activation": activation}

    def __call__(self, inputs: Any) -> Any:
        """Return the output."""
        return self._weighted(inputs, (int(inputs.shape[-1]), self.units), dict(self.given))

    def _product(self, inputs: Any, kernel: Any) -> Any:
        return self.tf.matmul(inputs, kernel)


class MaxPooling2D:
    """Max pooling."""

    tf: Any
    kind = "MAX"

    def __init__(self, pool_size: Any, strides: Any, padding: str = "valid", name: Any = None) -> None:
        self.pool_size, self.strides, self.padding = _pair(pool_size), _pair(strides), padding.upper()

    def __call__(self, inputs: Any) -> Any:
        """Return the output."""
        return self.tf.nn.pool(inputs, self.pool_size, self.kind, self.padding, strides=self.strides)


class AveragePooling2D(MaxPooling2D):
    """Average pooling."""

    kind = "AVG"


class Flatten:
    """One vector for each image."""

    tf: Any

    def __init__(self, name: Any = None) -> None:
        pass

    def __call__(self, inputs: Any) -> Any:
        """Return the output."""
        return self.tf.reshape(inputs, (-1, math.prod(inputs.shape.as_list()[1:])))


def _pair(value: Any) -> list[int]:
    return list(value) if isinstance(value, tuple | list) else [value, value]
