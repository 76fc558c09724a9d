import importlib.util
from pathlib import Path

import numpy as np
import pytest
from testing.grade.lenet5_solutions import KERAS, TENSORFLOW, TENSORFLOW_BY_HAND, graded
from testing.grade.solutions import write

from minicnn import Adam, initializers
from minicnn.initializers import he_normal
from minicnn.losses import softmax_cross_entropy
from minicnn.models import lenet5
from minicnn.ops import softmax
from minicnn.testing.grade import grade, grade_all
from minicnn.testing.grade.lenet5 import grade_lenet5, needs_tensorflow
from minicnn.testing.grade.lenet5.causes import cause_of_shapes
from minicnn.testing.grade.lenet5.initial import wrong_kernels
from minicnn.testing.grade.lenet5.reference import shapes
from minicnn.testing.grade.wire import Reply


@pytest.mark.parametrize(
    ("source", "framework"),
    [
        (KERAS, "Keras"),
        (TENSORFLOW, "TensorFlow"),
        pytest.param(TENSORFLOW_BY_HAND, "TensorFlow", marks=pytest.mark.campaign),
    ],
    ids=["Keras", "TensorFlow", "by hand"],
)
def test_right_solutions_are_right(source, framework):
    verdict = graded(source)
    assert verdict.passed, verdict
    assert verdict.convention == f"in {framework}"


# What is replaced in a right solution, and what the verdict says: the case, and the cause.
MISTAKES_IN_KERAS = {
    "no activation": (
        ('6, (5, 5), padding="same", **hidden', '6, (5, 5), padding="same", kernel_initializer=init'),
        "predicts other values",
        "the ReLU after the first convolution is missing",
    ),
    "valid": (('padding="same", ', ""), "(256, 120)", "the first convolution has padding valid, not same"),
    "not compiled": (("    model.compile", "    None and model.compile"), "that is not compiled", ""),
    "nothing": (("    return model", "    return"), "a compiled keras.Model, but returned None", ""),
}
MORE_MISTAKES_IN_KERAS = {
    "rate": (("Adam()", "Adam(0.01)"), "does not make the steps of Adam", "the learning rate 0.01"),
    "average": (("MaxPooling2D", "AveragePooling2D"), "predicts other values", "the pooling takes the mean"),
    "logits": (('10, "softmax"', "10"), "predicts other values", "it returns the logits"),
    "kernel size": (("16, (5, 5)", "16, (3, 3)"), "(3, 3, 6, 16)", "second convolution must have the shape"),
    "default initializer": (
        ("K.initializers.HeNormal(seed=0)", "None"),
        "has kernels that he_normal does not draw: the first convolution, the second convolution",
        "the kernels look like glorot_uniform, the default",
    ),
    "gradient descent": (("Adam()", "SGD(0.1)"), "does not make the steps", "gradient descent"),
    "RMSprop": (("Adam()", "RMSprop()"), "does not make the steps of Adam", "RMSprop"),
    "loss": (('"categorical_crossentropy"', '"mse"'), "has a loss of", "the mean squared error"),
    "no metrics": ((', metrics=["accuracy"]', ""), "must have an accuracy", "lacks metrics=['accuracy']"),
    "one size": (
        ("K.layers.Flatten()", "K.layers.Reshape((400,))"),
        "of 20x36 raised ValueError",
        "is right for 28x28 only",
    ),
    "Keras 2": (("K.Model(X, Y)", "K.Sequential()._set_inputs(X)"), "raised AttributeError", "for Keras 2"),
}
MISTAKES_IN_TENSORFLOW = {
    "softmax twice": (("y, logits", "y, y_pred"), "has a loss of", "the softmax is applied twice"),
    "three results": (("train, loss, accuracy", "loss, accuracy"), "but returned 3 results", ""),
    "TensorFlow 1": (
        ("keras.initializers.VarianceScaling", "contrib.layers.variance_scaling_initializer"),
        "raised AttributeError in line 5",
        "written for TensorFlow 1",
    ),
    "another layer": (
        ("tf.layers.flatten(a)", "tf.layers.batch_normalization(a)"),
        "`minicnn grade` provides Conv2D, ",
        "",
    ),
}
MORE_MISTAKES_IN_TENSORFLOW = {
    "order": (("train, loss, acc", "loss, train, acc"), "a tensor as loss, but it is an Operation", ""),
    "no step": (
        ("AdamOptimizer().minimize(loss)", "AdamOptimizer().minimize(0.0 * loss)"),
        "changes nothing in a training step",
        "not minimized",
    ),
    "scale": (("scale=2.0", ""), "he_normal does not draw", "VarianceScaling without scale=2.0"),
    "one layer": (
        ("minimize(loss)", "minimize(loss, var_list=tf.trainable_variables()[2:])"),
        "changes everything but the first convolution in a training step",
        "",
    ),
}


def marked(more):
    return [pytest.param(*mistake, marks=pytest.mark.campaign) for mistake in more.values()]


@pytest.mark.parametrize(
    ("change", "case", "cause"), [*MISTAKES_IN_KERAS.values(), *marked(MORE_MISTAKES_IN_KERAS)]
)
def test_a_mistake_in_keras_is_explained(change, case, cause):
    explained(KERAS, change, case, cause)


@pytest.mark.parametrize(
    ("change", "case", "cause"), [*MISTAKES_IN_TENSORFLOW.values(), *marked(MORE_MISTAKES_IN_TENSORFLOW)]
)
def test_a_mistake_in_tensorflow_is_explained(change, case, cause):
    explained(TENSORFLOW, change, case, cause)


def explained(source, change, case, cause):
    assert change[0] in source
    verdict = graded(source.replace(*change))
    assert not verdict.passed
    assert verdict.case.startswith(f"lenet5({'X' if source is KERAS else 'x, y'}) for images of ")
    assert case in verdict.case
    assert cause in verdict.cause


def test_other_parameters_are_told_with_those_of_the_exercises():
    verdict = graded("def lenet5(x, y, z): pass")
    assert not verdict.passed
    assert verdict.case.startswith("lenet5(x, y, z) has other parameters: the exercises want lenet5(x, y)")


class NetOfOurs:
    """A right solution in float32, without TensorFlow; `rates` are those of Adam, a build each."""

    def __init__(self, rates):
        self.rates = iter(rates)

    def __call__(self, named):
        method = named.pop("method")
        if method == "build":
            self.model, self.optimizer = lenet5().build((*named["size"], 1), rng=0), Adam(next(self.rates))
            self.model.set_weights(drawn(he_normal, 0, named["size"]))
            table = np.array([[*p.shape, 0, 0, 0][:4] for p in self.model.parameters()])
            return Reply(results=[table])
        if method == "weights":
            return Reply(results=self.model.get_weights())
        logits = self.model.train()(named["x"])
        if method == "predict":
            return Reply(results=[softmax(logits)])
        loss, dlogits = softmax_cross_entropy(logits, named["y"])
        if method == "evaluate":
            return Reply(results=[np.array(loss), (logits.argmax(axis=1) == named["y"]).mean()])
        self.model.zero_grad()
        self.model.backward(dlogits)
        self.optimizer.step(self.model.parameters())
        return Reply(results=self.model.get_weights())


def test_steps_that_are_wrong_once_are_those_of_rounding():
    assert grade_lenet5(NetOfOurs([1e-3] * 3), ["X"]).passed
    assert grade_lenet5(NetOfOurs([2e-3, 1e-3, 1e-3]), ["X"]).passed
    wrong = grade_lenet5(NetOfOurs([2e-3] * 4), ["X"])
    assert "does not make the steps of Adam" in wrong.case
    assert "learning rate 0.002" in wrong.cause


def test_a_net_that_cannot_be_built_again_keeps_what_was_wrong_before():
    net = NetOfOurs([2e-3] * 9)
    built = []

    def once(named):
        built.append(named["method"])
        return Reply(problem="raised it") if built.count("build") > 1 else net(named)

    assert "does not make the steps of Adam" in grade_lenet5(once, ["X"]).case


def test_a_table_of_the_answers_of_a_right_net_does_not_pass():
    net, answers = NetOfOurs([1e-3] * 3), []

    def record(named):
        answers.append(net(named))
        return answers[-1]

    assert grade_lenet5(record, ["X"]).passed
    again = iter(answers)
    assert not grade_lenet5(lambda named: next(again), ["X"]).passed


def drawn(initializer, seed, size=(28, 28)):
    rng = np.random.default_rng(seed)
    return [initializer(s, rng) if len(s) > 1 else np.zeros(s) for s in shapes(size)]


@pytest.mark.parametrize("seeds", [20, pytest.param(20_000, marks=pytest.mark.campaign)])
def test_kernels_of_he_normal_are_not_refused(seeds):
    assert [seed for seed in range(seeds) if wrong_kernels(drawn(he_normal, seed))[0]] == []


@pytest.mark.parametrize(
    "name",
    ["glorot_uniform", "glorot_normal", "he_uniform", "lecun_normal", "lecun_uniform", "zeros", "ones"],
)
def test_other_initializers_are_recognized(name):
    for seed in range(5):
        layers, kind = wrong_kernels(drawn(getattr(initializers, name), seed))
        assert layers.count(",") >= 3, layers  # the output layer of glorot_normal may pass
        assert kind.startswith(name)


def test_normal_kernels_of_the_right_spread_need_not_be_truncated():
    rng = np.random.default_rng(0)
    weights = drawn(lambda s, _: rng.normal(0, np.sqrt(2 / np.prod(s[:-1])), s), 0)
    assert wrong_kernels(weights) == ("", "")


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda s: s[:2] + s[4:], "it has 1 convolution: the exercise has 2"),
        (lambda s: s[:6] + s[8:], "it has 2 dense layers: the exercise has 3"),
        (lambda s: [], "must not use tf.keras.layers"),
        (lambda s: [*s[:2], (6,), (6,), *s[2:]], "the exercise has no BatchNormalization"),
        (lambda s: [*s[:4], (784, 120), *s[5:]], "second convolution has padding same"),
        (lambda s: s[:1] + s[2:], "a layer without bias"),
    ],
)
def test_wrong_shapes_of_weights_are_explained(change, cause):
    right = shapes((28, 28))
    assert cause in cause_of_shapes(change(right), right, (28, 28))


def test_a_file_needs_tensorflow_if_it_names_both(tmp_path):
    texts = [KERAS, TENSORFLOW, "import keras\n", "def lenet5(X): pass", "def alenet5(X): import keras"]
    files = [Path(write(tmp_path, f"{i}.py", text)) for i, text in enumerate(texts)]
    assert [needs_tensorflow(file) for file in files] == [True, True, False, False, False]
    assert not needs_tensorflow(tmp_path)


def test_where_tensorflow_is_missing_a_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    result = grade(write(tmp_path, "5-lenet5.py", KERAS))
    assert "needs TensorFlow, which is not installed: pip install" in str(result)


@pytest.mark.campaign  # each file starts TensorFlow
def test_files_are_graded_in_confinement(tmp_path):
    for i, source in enumerate(
        [KERAS, TENSORFLOW, TENSORFLOW_BY_HAND, TENSORFLOW.replace("(y, l", "(y, y_pred + 0 * l")]
    ):
        write(tmp_path, f"{i}-lenet5.py", source)
    keras, tensorflow, by_hand, twice = grade_all(str(tmp_path))
    assert keras.passed
    assert tensorflow.passed
    assert by_hand.passed
    assert "softmax is applied twice" in twice.functions["lenet5"].cause
