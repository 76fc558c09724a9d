import numpy as np
import pytest

from minicnn.datasets import load_mnist
from minicnn.demo import Session, open_session
from minicnn.demo.session import RATE, read_drawing
from minicnn.losses import softmax_cross_entropy
from minicnn.models import lenet5
from minicnn.ops.scaling import to_float
from minicnn.runs import TrainConfig


@pytest.fixture(scope="module")
def mnist_test():
    return load_mnist()[1]


def test_the_shipped_weights_read_digits(mnist_test):
    images, labels = mnist_test
    answers = open_session().model.predict(images[:1000]).argmax(axis=1)
    assert (answers == labels[:1000]).mean() >= 0.985


def test_step_lowers_the_loss_and_undo_restores_every_bit(mnist_test):
    session = open_session()
    image, before = mnist_test[0][0], session.model.get_weights()
    taken = [session.step(image, 3) for _ in range(3)]
    assert [step["steps"] for step in taken] == [1, 2, 3]
    assert all(step["after"] < step["before"] for step in taken)
    assert taken[1]["before"] == taken[0]["after"]
    assert [session.undo()["steps"] for _ in range(4)] == [2, 1, 0, 0]
    for was, now in zip(before, session.model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_step_is_gradient_descent_by_hand(mnist_test):
    session, twin = open_session(), open_session()
    image = mnist_test[0][1]
    _, dlogits = softmax_cross_entropy(twin.model.train()(to_float(image[None])), [8])
    twin.model.backward(dlogits)
    session.step(image, 8)
    for moved, start in zip(session.model.parameters(), twin.model.parameters(), strict=True):
        np.testing.assert_array_equal(moved.value, start.value - start.grad * np.float32(RATE))


def test_examples_are_test_images_and_wrong_ones_are_wrong(mnist_test):
    session = open_session()
    for wrong in (False, True):
        example = session.example(wrong)
        np.testing.assert_array_equal(example["image"], mnist_test[0][example["index"]])
        assert example["label"] == mnist_test[1][example["index"]]
        assert session.look(example["image"])["answer"] != example["label"] or not wrong


def test_look_says_what_predict_says(mnist_test):
    session = open_session()
    image = mnist_test[0][4]
    seen = session.look(image, 2)
    # One image goes through a convolution another way than a batch: the last bits may differ.
    np.testing.assert_allclose(
        seen["stages"][-1], session.model.predict(image[None])[0], rtol=1e-5, atol=1e-5
    )
    assert (seen["class"], seen["answer"]) == (2, 4)
    assert seen["probabilities"].sum() == pytest.approx(1, rel=1e-6)


def test_the_net_of_1998_gets_its_padding():
    config = TrainConfig(model="lenet5-1998")
    session = Session(config.build_model((32, 32, 1), 10), config)
    image = session.example()["image"]
    assert image.shape == (28, 28, 1)
    pixels = session.look(image)["stages"][0] * 255
    np.testing.assert_allclose(pixels, np.pad(image, [(2, 2), (2, 2), (0, 0)]), rtol=1e-6)
    assert session.explain(image, 3, (0, 0, 0))["kind"] == "other"  # its own kind of subsampling


def test_a_net_for_other_images_is_refused():
    config = TrainConfig()
    with pytest.raises(ValueError, match=r"28x28x1, but this one takes \(16, 16, 1\)"):
        Session(config.build_model((16, 16, 1), 10), config)


def test_read_drawing_is_none_where_nothing_is_drawn():
    assert read_drawing(np.zeros((140, 140), np.uint8)) is None
    assert read_drawing(np.full((140, 140), 20, np.uint8)) is None  # the shade of a stroke beyond the edge


@pytest.mark.parametrize("gap", [0, 8])
def test_read_drawing_takes_a_pad_full_of_ink_for_ink(gap):
    pixels = np.full((140, 140), 255, np.uint8)
    pixels[66 : 66 + gap, 70:] = 0
    image = read_drawing(pixels)
    assert (image > 0).sum() >= 20 * 20 - 20 * bool(gap)
    assert image[6, 6, 0] == 255


def test_gradients_are_the_slopes_of_loss_and_logit():
    session, rng = open_session(), np.random.default_rng(3)
    image = rng.integers(0, 256, (28, 28, 1), np.uint8)  # without the ties of a background
    model = lenet5().build((28, 28, 1), rng=0, dtype=np.float64)
    model.set_weights(session.model.get_weights())
    precise = Session(model, session.config)
    x, direction = to_float(image, np.float64), rng.normal(size=image.shape)

    def slope(f):
        return (f(x[None] + 1e-6 * direction) - f(x[None] - 1e-6 * direction)) / 2e-6

    seen = precise.backward(image, 4)
    assert seen["loss"] == pytest.approx(softmax_cross_entropy(model.eval()(x[None]), [4])[0], rel=1e-12)
    expected = slope(lambda images: softmax_cross_entropy(model(images), [4])[0])
    assert (seen["stages"][0] * direction).sum() == pytest.approx(expected, rel=1e-5)
    assert [g.shape for g in seen["stages"]] == [s.shape for s in precise.look(image)["stages"]]
    gradient = precise.look(image, 7)["gradient"]
    assert (gradient * direction).sum() == pytest.approx(slope(lambda images: model(images)[0, 7]), rel=1e-5)
