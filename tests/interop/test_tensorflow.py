import numpy as np
import pytest
import tensorflow as tf
from threadpoolctl import threadpool_limits

from minicnn import Adam, models
from minicnn.datasets import load_mnist
from minicnn.interop.tensorflow import LeNet5, get_weights, lenet5, set_weights
from minicnn.losses import softmax_cross_entropy

v1 = tf.compat.v1
TOLERANCES = [("float64", 1e-10), ("float32", 1e-3)]
BATCH = 16
STEPS = [25, pytest.param(100, marks=pytest.mark.campaign)]


@pytest.fixture(scope="module")
def batches():
    (x, y), _ = load_mnist()
    shape = (100, BATCH)
    x, y = x[: 100 * BATCH].reshape(*shape, 28, 28, 1) / 255, y[: 100 * BATCH].reshape(shape)
    return x, y.astype(np.int32)


@pytest.fixture(autouse=True)
def one_thread():
    """For products as small as these, BLAS's threads only wait for each other."""
    with threadpool_limits(1, "blas"):
        yield


@pytest.fixture
def graph():
    """A graph of TensorFlow 1, its session, and the placeholders of the course."""
    with tf.Graph().as_default(), v1.Session() as session:
        yield session


def course_net(session, dtype="float32", size=(28, 28), labels=tf.int32):
    x, y = v1.placeholder(dtype, (None, *size, 1)), v1.placeholder(labels, (None, 10))
    outputs = lenet5(x, y)
    session.run(v1.global_variables_initializer())
    return x, y, *outputs


def our_losses(batches, dtype, eps):
    model, optimizer = models.lenet5().build((28, 28, 1), rng=0, dtype=dtype).train(), Adam(eps=eps)
    losses = []
    for x, y in zip(*batches, strict=True):
        loss, dlogits = softmax_cross_entropy(model(x.astype(dtype)), y)
        model.zero_grad()
        model.backward(dlogits)
        optimizer.step(model.parameters())
        losses.append(loss)
    return losses


# --- the module -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_adam_steps_equal_those_of_the_module(batches, dtype, tolerance, steps):
    batches = [array[:steps] for array in batches]
    net = LeNet5(seed=0, dtype=dtype)  # starts from the weights of lenet5().build(rng=0)
    theirs = [
        float(net.train_step(tf.constant(x, dtype), tf.constant(y))) for x, y in zip(*batches, strict=True)
    ]
    np.testing.assert_allclose(our_losses(batches, dtype, eps=1e-7), theirs, rtol=tolerance)


def test_every_gradient_equals_the_tape(batches):
    x, y = batches[0][0], batches[1][0]
    model, net = models.lenet5().build((28, 28, 1), rng=0, dtype="float64").train(), LeNet5(dtype="float64")
    net.set_weights(model.get_weights())
    model.backward(softmax_cross_entropy(model(x), y)[1])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, net(tf.constant(x))))
    for parameter, theirs in zip(model.parameters(), tape.gradient(loss, net.weights), strict=True):
        gradient = theirs.numpy()
        np.testing.assert_allclose(parameter.grad, gradient, rtol=0, atol=1e-12 * np.abs(gradient).max())


@pytest.mark.parametrize("size", [(20, 49), (28, 28), (35, 21)])
def test_module_computes_what_ours_does_at_any_size(size):
    model = models.lenet5().build((*size, 1), rng=3)
    net = LeNet5((*size, 1), seed=3)
    assert all(np.array_equal(a, b) for a, b in zip(net.get_weights(), model.get_weights(), strict=True))
    x = np.random.default_rng(0).normal(size=(4, *size, 1)).astype("float32")
    np.testing.assert_allclose(net(x).numpy(), model(x), atol=1e-4)


def test_weights_of_other_shapes_are_refused(graph):
    probabilities = course_net(graph)[2]
    before = get_weights(probabilities, graph)
    weights = models.lenet5().build((28, 28, 1), rng=0).get_weights()
    for setter in (lambda w: set_weights(probabilities, graph, w), LeNet5().set_weights):
        with pytest.raises(ValueError, match="shapes"):
            setter([*weights[:-1], np.zeros(9)])
    assert all(np.array_equal(a, b) for a, b in zip(get_weights(probabilities, graph), before, strict=True))
    with pytest.raises(ValueError, match="that `lenet5` returned, got mine:0"):
        get_weights(tf.identity(probabilities, "mine"), graph)


def test_module_takes_mnist_as_it_is_and_batches_of_any_size():
    net, model = LeNet5(seed=0), models.lenet5().build((28, 28, 1), rng=0)
    (x, y), _ = load_mnist()
    for n in (1, 7, 32, 5):
        loss = net.train_step(x[:n] / 255, y[:n])  # float64 images, uint8 labels
        if n == 1:
            assert float(loss) == pytest.approx(softmax_cross_entropy(model(x[:1] / 255), y[:1])[0], rel=1e-5)
    assert net.train_step.experimental_get_tracing_count() == 2  # for one size, and for all others
    with pytest.raises(ValueError, match=r"images must have shape \('N', 28, 28, 1\), got \(5, 28, 20, 1\)"):
        LeNet5()(np.zeros((5, 28, 20, 1), "float32"))


@pytest.mark.parametrize("shape", [(11, 28, 1), (None, 28, 1), (28, 28)])
def test_module_refuses_images_that_it_cannot_take(shape):
    with pytest.raises(ValueError, match="images must have a fixed shape"):
        LeNet5(shape)


def test_module_refuses_numbers_in_which_adam_cannot_compute():
    with pytest.raises(TypeError, match="float32 or float64, got float16"):
        LeNet5(dtype="float16")


# --- the graph --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(("dtype", "tolerance"), TOLERANCES)
def test_adam_steps_equal_those_of_the_graph(graph, batches, dtype, tolerance, steps):
    batches = [array[:steps] for array in batches]
    x, y, probabilities, train, loss, _ = course_net(graph, dtype)
    set_weights(probabilities, graph, models.lenet5().build((28, 28, 1), rng=0, dtype=dtype).get_weights())
    theirs = []
    for images, labels in zip(*batches, strict=True):
        theirs.append(graph.run([loss, train], {x: images, y: np.eye(10)[labels]})[0])
    np.testing.assert_allclose(our_losses(batches, dtype, eps=1e-8), theirs, rtol=tolerance)


@pytest.mark.parametrize(("size", "labels"), [((20, 49), tf.int32), ((28, 28), tf.float32)])
def test_course_main_trains_at_any_size(graph, size, labels):
    v1.set_random_seed(0)
    x, y, probabilities, train, loss, accuracy = course_net(graph, size=size, labels=labels)
    numbers = np.arange(40) % 10
    feed = {x: np.random.default_rng(0).random((40, *size, 1)), y: np.eye(10)[numbers]}
    first, answers = graph.run([loss, probabilities], feed)
    assert answers.shape == (40, 10)
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    assert first == pytest.approx(-np.log(answers[np.arange(40), numbers]).mean(), rel=1e-4)
    assert graph.run(accuracy, feed) == pytest.approx((answers.argmax(axis=1) == numbers).mean())
    for _ in range(40):
        graph.run(train, feed)
    assert graph.run(loss, feed) < 0.8 * first


def test_graph_starts_from_he_normal_and_its_seed(graph):
    nets = [
        lenet5(v1.placeholder("float32", (None, 28, 28, 1)), v1.placeholder("int32", (None, 10)), seed)[0]
        for seed in (5, 5, 6)
    ]
    graph.run(v1.global_variables_initializer())
    first, again, other = (get_weights(net, graph) for net in nets)  # each its own, in one graph
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert first[4].std() == pytest.approx(np.sqrt(2 / 400), rel=0.02)  # of 48,000 numbers
    assert np.abs(first[4]).max() < 2.3 * np.sqrt(2 / 400)  # truncated
    assert not any(bias.any() for bias in first[1::2])


def test_graph_weights_go_to_ours_and_back_and_add_nothing_to_the_graph(graph):
    x, _, probabilities, *_ = course_net(graph)
    tf.compat.v1.get_default_graph().finalize()
    ours = models.lenet5().build((28, 28, 1), rng=1)
    set_weights(probabilities, graph, ours.get_weights())
    weights = get_weights(probabilities, graph)
    assert all(np.array_equal(a, b) for a, b in zip(weights, ours.get_weights(), strict=True))
    images = np.random.default_rng(0).random((4, 28, 28, 1), dtype="float32")
    logits = ours(images)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(graph.run(probabilities, {x: images}), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("image", "dtype", "label", "error", "sentence"),
    [
        ((None, None, None, 1), "float32", (None, 10), ValueError, r"fixed shape .*\(None, None, 1\)"),
        (None, "float32", (None, 10), ValueError, "fixed shape"),
        ((None, 28, 11, 1), "float32", (None, 10), ValueError, r"12x12 or more, got \(28, 11, 1\)"),
        ((None, 28, 28), "float32", (None, 10), ValueError, r"got \(28, 28\)"),
        ((None, 28, 28, 1), "uint8", (None, 10), TypeError, "float32 or float64, got uint8"),
        ((None, 28, 28, 1), "float32", (None,), ValueError, r"one-hot labels .* got \(None,\)"),
        ((None, 28, 28, 1), "float32", (None, 7), ValueError, "one-hot labels"),
    ],
)
def test_graph_says_what_is_wrong_with_its_placeholders(graph, image, dtype, label, error, sentence):
    with pytest.raises(error, match=sentence):
        lenet5(v1.placeholder(dtype, image), v1.placeholder("float32", label))


def test_graph_refuses_what_is_no_placeholder():
    labels = np.eye(10, dtype="float32")
    for x in (np.zeros((10, 28, 28, 1), "float32"), tf.zeros((10, 28, 28, 1)), tf.keras.Input((28, 28, 1))):
        with pytest.raises(TypeError, match=f"`x` must be a graph tensor.*{type(x).__name__}"):
            lenet5(x, labels)
