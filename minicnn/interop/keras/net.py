"""LeNet-5 in Keras."""

import keras

from minicnn.interop.images import image_shape


def lenet5(X: keras.KerasTensor, seed: int | None = 0) -> keras.Model:
    """Return the modified LeNet-5, compiled with Adam, categorical cross-entropy and accuracy.

    Unlike `minicnn.models.lenet5` it ends with the softmax. Adam has Keras's default hyper-parameters. Its
    eps is 1e-7, that of TensorFlow's v1 Adam is 1e-8, which matters: from the same weights, the losses with
    the two differ by up to 28 % within 100 steps.

    Parameters
    ----------
    X : keras.Input, shape (h, w, 1)
        28x28, or any size of at least 12x12; the model computes in its dtype.
    seed : int, optional
        Seed of the initial kernels, he_normal; None draws other kernels each time.

    Returns
    -------
    keras.Model
        For one-hot labels, (N, 10).

    Raises
    ------
    TypeError
        If `X` is not a `keras.Input` of float32 or float64.
    ValueError
        If the image size is not fixed or too small.

    Examples
    --------
    >>> import keras
    >>> model = lenet5(keras.Input((28, 28, 1)))
    >>> model.count_params(), model.output_shape
    (61706, (None, 10))
    """
    if not isinstance(X, keras.KerasTensor) or X.dtype not in ("float32", "float64"):
        got = f"{type(X).__name__} of {getattr(X, 'dtype', 'no dtype')}"
        raise TypeError(f"`X` must be a keras.Input of float32 or float64, got {got}")
    image_shape(X.shape[1:])
    he_normal = keras.initializers.HeNormal(seed)
    images = {"data_format": "channels_last", "dtype": X.dtype}  # independent of Keras's configuration

    def conv(filters: int, padding: str) -> keras.Layer:
        settings = {"activation": "relu", "kernel_initializer": he_normal, **images}
        return keras.layers.Conv2D(filters, 5, padding=padding, **settings)

    def pool() -> keras.Layer:
        return keras.layers.MaxPooling2D(2, 2, **images)

    def dense(units: int, activation: str) -> keras.Layer:
        return keras.layers.Dense(units, activation, kernel_initializer=he_normal, dtype=X.dtype)

    y = pool()(conv(6, "same")(X))
    y = pool()(conv(16, "valid")(y))
    y = keras.layers.Flatten(**images)(y)
    y = dense(84, "relu")(dense(120, "relu")(y))
    model = keras.Model(X, dense(10, "softmax")(y), name="lenet5")
    model.compile(keras.optimizers.Adam(), loss="categorical_crossentropy", metrics=["accuracy"])
    return model
