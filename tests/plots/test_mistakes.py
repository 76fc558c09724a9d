import numpy as np
import pytest

from minicnn.plots import mistakes

# Right; wrong at 60 %; wrong at 90 %; right; wrong at 70 %.
LABELS = np.array([0, 1, 2, 1, 0])
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.6, 0.3, 0.1], [0.05, 0.9, 0.05], [0.2, 0.7, 0.1], [0.2, 0.1, 0.7]]
)
IMAGES = np.arange(5 * 12, dtype=np.uint8).reshape(5, 4, 3, 1)


def test_mistakes_come_with_the_most_confident_first():
    figure = mistakes(IMAGES, LABELS, PROBABILITIES)
    (axes,) = figure.axes
    assert [text.get_text() for text in axes.texts] == [
        *("1 (90 %)", "is 2"),
        *("2 (70 %)", "is 0"),
        *("0 (60 %)", "is 1"),
    ]
    for shown, i in zip(axes.images, (2, 4, 1), strict=True):
        assert np.array_equal(shown.get_array(), IMAGES[i, ..., 0])
        assert shown.get_clim() == (0, 255)
    assert axes.get_title(loc="left").startswith("Most confident of 3 mistakes in 5 images")
    figure.draw_without_rendering()


def test_mistakes_shows_at_most_count():
    (axes,) = mistakes(IMAGES, LABELS, PROBABILITIES, count=2).axes
    assert len(axes.images) == 2
    assert axes.get_title(loc="left").startswith("Most confident of 3 mistakes")


def test_mistakes_in_rows_of_columns_keep_to_them():
    (axes,) = mistakes(IMAGES, LABELS, PROBABILITIES, columns=2).axes
    assert len({shown.get_extent()[0] for shown in axes.images}) == 2
    assert len({shown.get_extent()[3] for shown in axes.images}) == 2


def test_probabilities_of_mistakes_are_rounded():
    probabilities = np.array([[0.0004, 0.9996], [0.004, 0.996], [0.006, 0.994]])
    (axes,) = mistakes(IMAGES[:3], np.zeros(3, int), probabilities).axes
    assert [text.get_text() for text in axes.texts][::2] == ["1 (100 %)", "1 (100 %)", "1 (99 %)"]


def test_mistakes_uses_class_names():
    (axes,) = mistakes(IMAGES, LABELS, PROBABILITIES, ["ant", "bee", "cow"], count=1).axes
    assert [text.get_text() for text in axes.texts] == ["bee (90 %)", "is cow"]


def test_mistakes_tiles_do_not_overlap():
    probabilities = np.tile([0.0, 1.0], (20, 1))
    images = np.zeros((20, 6, 4, 3))  # colour, higher than wide
    (axes,) = mistakes(images, np.zeros(20, int), probabilities).axes
    boxes = [shown.get_extent() for shown in axes.images]
    assert len(boxes) == 20
    for i, (left, right, bottom, top) in enumerate(boxes):
        assert (right - left, bottom - top) == pytest.approx((1.0, 1.5))
        for other in boxes[:i]:
            assert left >= other[1] or right <= other[0] or top >= other[2] or bottom <= other[3]


def test_no_mistake_is_a_picture_too():
    figure = mistakes(IMAGES, PROBABILITIES.argmax(axis=1), PROBABILITIES)
    assert figure.axes[0].get_title(loc="left") == "No mistakes in 5 images"
    figure.draw_without_rendering()


@pytest.mark.parametrize("count", [1, 8])
def test_mistakes_captions_keep_to_their_tile(count):
    names = [f"number {k} of the names that are far too long" for k in range(2)]
    images, labels = np.zeros((count, 28, 28, 1)), np.zeros(count, int)
    figure = mistakes(images, labels, np.tile([0.0, 1.0], (count, 1)), names)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    pitch = axes.transData.transform((1.12, 0))[0] - axes.transData.transform((0, 0))[0]
    assert all(text.get_window_extent().width <= pitch for text in axes.texts)
    noun = "mistake in 1 image" if count == 1 else "mistakes in 8 images"
    assert axes.get_title(loc="left") == f"Most confident of {count} {noun}: predicted and true class"
