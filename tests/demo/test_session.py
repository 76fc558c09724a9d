import io

import numpy as np
import pytest
from PIL import Image

from minicnn.datasets import digit_from_pixels, load_mnist
from minicnn.demo import Session, open_session
from minicnn.demo.classroom import Classroom
from minicnn.demo.inputs import read_drawing
from minicnn.demo.session import RATE
from minicnn.layers import BatchNorm, Conv2D, Dense, Flatten, GlobalAveragePool2D, ReLU, Sequential, Softmax
from minicnn.losses import softmax_cross_entropy
from minicnn.models import lenet5
from minicnn.ops.scaling import to_float
from minicnn.runs import TrainConfig
from minicnn.saving import save_model


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
    assert image.shape == (32, 32, 1)
    np.testing.assert_allclose(session.look(image)["stages"][0] * 255, image, rtol=1e-6)
    drawing = session.inputs.from_drawing(np.full((140, 140), 255, np.uint8))
    assert drawing.shape == (32, 32, 1)
    assert not drawing[:2].any()
    assert session.explain(image, 3, (0, 0, 0))["kind"] == "subsample"
    layers = session.describe()["layers"]
    assert layers[2]["weights"] == {"factors": 6, "biases": 6}
    table = layers[4]["text"]  # of connections, 300 characters long
    assert table.startswith("PartialConv2D(((0, 1, 2)")
    assert table.endswith(" …)")
    assert len(table) <= 200


@pytest.mark.parametrize(
    ("layers", "shape", "sentence"),
    [
        ([Flatten(), Dense(3)], (8, 8, 2), r"\(H, W, 3\), but this one takes \(8, 8, 2\)"),
        ([Dense(3)], (8,), r"takes \(8,\)"),
        ([Conv2D(3, 1)], (8, 8, 1), r"a logit for each class, but this one returns \(8, 8, 3\)"),
    ],
)
def test_what_is_no_classifier_of_images_is_refused(layers, shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        Session(Sequential(layers).build(shape, rng=0), TrainConfig())


def test_any_net_is_shown_with_its_classes_and_takes_pictures(tmp_path):
    layers = [Sequential([Conv2D(4, 3), BatchNorm(), ReLU()]), GlobalAveragePool2D(), Dense(2), Softmax()]
    model = Sequential(layers).build((6, 9, 3), rng=0)
    path = tmp_path / "net.safetensors"
    save_model(model, path, class_names=["cat", "dog"], preprocessing={"resize": "pad", "background": 0})
    session = open_session(path)
    shown = session.describe()
    assert (shown["classes"], shown["draws"], shown["examples"]) == (["cat", "dog"], False, False)
    assert [layer["name"] for layer in shown["layers"]] == [
        *("Conv2D", "BatchNorm", "ReLU"),
        *("GlobalAveragePool2D", "Dense"),
    ]
    assert shown["layers"][0]["weights"] == {"weights": 3 * 3 * 3 * 4, "biases": 4}
    file = io.BytesIO()
    Image.new("RGB", (60, 60), (255, 0, 128)).save(file, "PNG")
    image = session.inputs.from_picture(file.getvalue())
    assert image.shape == (6, 9, 3)
    np.testing.assert_array_equal(image[3, [0, 4]], [[0, 0, 0], [255, 0, 128]])
    expected = model.eval()(to_float(image[None]))[0]
    np.testing.assert_allclose(session.look(image)["probabilities"], expected, rtol=1e-5)
    twin = session.fork()
    step = twin.step(image, 1)
    assert step["after"] < step["before"]
    np.testing.assert_array_equal(twin.model[1].running_mean.value, model[0][1].running_mean.value)


def test_a_photo_of_a_digit_is_prepared_as_mnist_was():
    paper, file = np.full((120, 90), 230, np.uint8), io.BytesIO()
    paper[20:100, 40:50] = 30
    Image.fromarray(paper).save(file, "PNG")
    image = open_session().inputs.from_picture(file.getvalue())
    np.testing.assert_array_equal(image, digit_from_pixels(paper))


def test_misclassified_images_are_those_of_the_net_as_it_is_now(mnist_test):
    session = open_session()
    session.inputs.examples = tuple(part[:1000] for part in mnist_test)
    assert session.example(wrong=True)["wrong"] < 15
    for _ in range(25):
        session.step(mnist_test[0][0], 3)
    taught = session.example(wrong=True)
    assert taught["wrong"] > 15
    assert session.look(taught["image"])["answer"] != taught["label"]
    session.undo_all()
    for _ in range(12):
        found = session.example(wrong=True)
        assert session.look(found["image"])["answer"] != found["label"]


def test_undo_all_goes_back_beyond_what_undo_remembers(mnist_test, monkeypatch):
    monkeypatch.setattr("minicnn.demo.session._MAX_UNDO", 3)
    session = open_session()
    before = session.model.get_weights()
    for _ in range(5):
        last = session.step(mnist_test[0][0], 7)
    assert (last["steps"], last["undoable"]) == (5, 3)
    assert session.undo() == {"steps": 4, "undoable": 2}
    assert session.undo_all() == {"steps": 0, "undoable": 0}
    for was, now in zip(before, session.model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)


def test_a_class_has_a_limit_and_room_is_made_by_undoing(mnist_test, monkeypatch):
    room, image = Classroom(open_session(), limit=2), mnist_test[0][0]
    for browser in ("a", "b"):
        room.session_of(browser, teaches=True).step(image, 3)
    with pytest.raises(ValueError, match="2 browsers teach a network of their own already"):
        room.session_of("c", teaches=True)
    assert room.session_of("c") is room.shared
    room.session_of("a").undo_all()
    room.leave("a")
    room.leave("b")  # it has a step: nothing happens
    room.session_of("c", teaches=True).step(image, 3)
    assert room.session_of("b").steps == 1
    monkeypatch.setattr("minicnn.demo.classroom.IDLE", 0.0)
    room.session_of("d", teaches=True)  # in place of the browser that was idle for longest
    assert room.session_of("c") is room.shared


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


def test_what_is_kept_of_the_last_image_is_not_seen(few):
    session = few.fork()
    first, second = session.inputs.examples[0][:2]
    before = session.backward(first, 3)
    for _ in range(2):
        session.look(first, 7)
        session.explain(first, 4, (2, 3, 5))
        again = session.backward(first, 3)
        session.look(second)
        for one, other in zip(before["stages"], again["stages"], strict=True):
            np.testing.assert_array_equal(one, other)
    taught = session.step(first, 3)
    assert session.backward(first, 3)["loss"] == pytest.approx(taught["after"], rel=1e-5)
    session.undo()
    np.testing.assert_array_equal(session.backward(first, 3)["stages"][0], before["stages"][0])


def test_a_data_set_that_is_not_there_is_told_in_words_of_the_page(tmp_path):
    model = Sequential([Flatten(), Dense(2)]).build((4, 4, 3), rng=0)
    for dataset, message in (
        (
            "",
            "does not hold its data set: start `minicnn demo` with its run folder, or with --dataset",
        ),
        (
            str(tmp_path / "gone"),
            "gone' is not on this machine: start `minicnn demo` with --dataset PLACE",
        ),
    ):
        with pytest.raises(FileNotFoundError, match=message):
            Session(model, TrainConfig(dataset=dataset)).example()
