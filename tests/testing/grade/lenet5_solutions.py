"""Solutions of the course's `lenet5`, and a way to grade them in this process."""

import io
import types

from minicnn.testing.grade import child
from minicnn.testing.grade.lenet5 import grade_lenet5, library, tf_layers
from minicnn.testing.grade.wire import read_reply

KERAS = """
from tensorflow import keras as K

def lenet5(X):
    init = K.initializers.HeNormal(seed=0)
    hidden = {"activation": "relu", "kernel_initializer": init}
    Y = K.layers.Conv2D(6, (5, 5), padding="same", **hidden)(X)
    Y = K.layers.MaxPooling2D((2, 2))(Y)
    Y = K.layers.Conv2D(16, (5, 5), **hidden)(Y)
    Y = K.layers.MaxPooling2D((2, 2))(Y)
    Y = K.layers.Flatten()(Y)
    Y = K.layers.Dense(120, **hidden)(Y)
    Y = K.layers.Dense(84, **hidden)(Y)
    Y = K.layers.Dense(10, "softmax", kernel_initializer=init)(Y)
    model = K.Model(X, Y)
    model.compile(K.optimizers.Adam(), loss="categorical_crossentropy", metrics=["accuracy"])
    return model
"""
TENSORFLOW = """
import tensorflow.compat.v1 as tf

def lenet5(x, y):
    init = tf.keras.initializers.VarianceScaling(scale=2.0)
    a = tf.layers.Conv2D(6, 5, padding="same", activation=tf.nn.relu, kernel_initializer=init)(x)
    a = tf.layers.MaxPooling2D(2, 2)(a)
    a = tf.layers.conv2d(a, filters=16, kernel_size=(5, 5), activation="relu", kernel_initializer=init)
    a = tf.layers.max_pooling2d(a, pool_size=[2, 2], strides=2)
    a = tf.layers.flatten(a)
    a = tf.layers.dense(a, 120, activation=tf.nn.relu, kernel_initializer=init)
    a = tf.layers.Dense(84, tf.nn.relu, kernel_initializer=init)(a)
    logits = tf.layers.Dense(10, kernel_initializer=init)(a)
    y_pred = tf.nn.softmax(logits)
    loss = tf.losses.softmax_cross_entropy(y, logits)
    train = tf.train.AdamOptimizer().minimize(loss)
    accuracy = tf.reduce_mean(tf.cast(tf.equal(tf.argmax(y_pred, 1), tf.argmax(y, 1)), tf.float32))
    return y_pred, train, loss, accuracy
"""
# Without `tf.layers`, and with all kernels before all biases.
TENSORFLOW_BY_HAND = """
import tensorflow as tf

def lenet5(x, y):
    v1 = tf.compat.v1
    rows = (x.shape[1] // 2 - 4) // 2 * ((x.shape[2] // 2 - 4) // 2) * 16
    init = v1.keras.initializers.he_normal()
    shapes = (5, 5, 1, 6), (5, 5, 6, 16), (rows, 120), (120, 84), (84, 10)
    kernels = [v1.get_variable(f"k{i}", s, initializer=init) for i, s in enumerate(shapes)]
    biases = [tf.Variable(tf.zeros(s[-1])) for s in shapes]
    a = tf.nn.relu(tf.nn.conv2d(x, kernels[0], 1, "SAME") + biases[0])
    a = tf.nn.max_pool2d(a, 2, 2, "VALID")
    a = tf.nn.relu(tf.nn.conv2d(a, kernels[1], 1, "VALID") + biases[1])
    a = tf.reshape(tf.nn.max_pool2d(a, 2, 2, "VALID"), (-1, rows))
    for k, b in zip(kernels[2:4], biases[2:4]):
        a = tf.nn.relu(a @ k + b)
    logits = a @ kernels[4] + biases[4]
    loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits))
    right = tf.equal(tf.argmax(logits, 1), tf.argmax(y, 1))
    train = v1.train.AdamOptimizer().minimize(loss)
    return tf.nn.softmax(logits), train, loss, tf.reduce_mean(tf.cast(right, tf.float32))
"""


def graded(source):
    """Return the verdict on a file, which runs in this process; its results cross the wire."""
    module = types.ModuleType("solution")
    exec(compile(source, "solution.py", "exec"), module.__dict__)
    answers = library.requests(module, vars(tf_layers))

    def call(named):
        function = answers[f"lenet5.{named.pop('method')}"]
        arrays = [value for value in named.values() if hasattr(value, "dtype")]
        options = {key: value for key, value in named.items() if not hasattr(value, "dtype")}
        stream = io.BytesIO()
        child.send(stream, child.call(function, arrays, options, 1, "solution.py"))
        stream.seek(0)
        return read_reply(stream)

    return grade_lenet5(call, child.parameters(module, "lenet5").split(","))
