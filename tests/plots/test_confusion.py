import numpy as np
import pytest
from colour_vision import contrast

from minicnn.plots import confusion_matrix

MATRIX = np.array([[90, 10, 0], [1, 199, 0], [0, 0, 0]])


def test_confusion_matrix_writes_counts_and_rates_of_each_true_class():
    (axes,) = confusion_matrix(MATRIX).axes
    cells = {}
    for text in axes.texts:
        x, y = text.get_position()
        cells.setdefault((round(y), round(x)), []).append(text.get_text())
    assert cells[0, 0] == ["90", "90.0 %"]
    assert cells[0, 1] == ["10", "10.0 %"]
    assert cells[1, 0] == ["1", "0.5 %"]
    assert cells[1, 1] == ["199", "99.5 %"]
    assert cells[2, 2] == ["·"]
    assert axes.get_title(loc="left") == "Accuracy 96.33 %, 11 of 300 images wrong"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted class", "true class")


def test_confusion_matrix_is_green_where_right_and_deeper_purple_where_worse():
    (axes,) = confusion_matrix(MATRIX).axes
    cells = axes.images[0].get_array()
    red, green, _, _ = np.moveaxis(cells, -1, 0)
    assert green[0, 0] > red[0, 0]
    assert red[0, 1] > green[0, 1]
    assert green[0, 1] < green[1, 0] < green[2, 1] == 1.0  # 10 %, 0.5 %, white
    assert min(contrast(axes.texts[0].get_color(), colour[:3]) for colour in cells.reshape(-1, 4)) > 4.5


def test_confusion_matrix_names_its_classes():
    figure = confusion_matrix(np.eye(2, dtype=int), ["cat", "ankle boot"])
    (axes,) = figure.axes
    for labels in (axes.get_xticklabels(), axes.get_yticklabels()):
        assert [label.get_text() for label in labels] == ["cat", "ankle boot"]
    figure.draw_without_rendering()


def test_confusion_matrix_of_many_classes_has_no_numbers():
    (axes,) = confusion_matrix(np.eye(50, dtype=int)).axes
    assert not axes.texts


@pytest.mark.parametrize("matrix", [np.zeros((2, 3)), np.zeros(4), np.zeros((0, 0))])
def test_confusion_matrix_must_be_square(matrix):
    with pytest.raises(ValueError, match="`matrix` must be square"):
        confusion_matrix(matrix)


def test_confusion_matrix_demands_a_name_for_each_class():
    with pytest.raises(ValueError, match="`class_names` must have 2 names, got 3"):
        confusion_matrix(np.eye(2, dtype=int), ["a", "b", "c"])


@pytest.mark.parametrize(
    ("matrix", "names"),
    [
        (np.array([[7]]), None),
        (np.array([[60_000_000, 12_345_678], [1, 2]]), None),
        (np.eye(3, dtype=int), ["a name as long as nobody would give a class"] * 3),
    ],
)
def test_confusion_matrix_has_room_for_its_title_and_names(matrix, names):
    figure = confusion_matrix(matrix, names)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    for box in (axes.title, axes._left_title, axes.xaxis.label, axes.yaxis.label):
        extent = box.get_window_extent()
        assert 0 <= extent.x0 <= extent.x1 <= figure.bbox.x1, box.get_text()
    assert axes.get_window_extent().width > 0.3 * figure.bbox.width  # names leave room for the cells
