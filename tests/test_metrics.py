import functools

import numpy as np
import pytest

from minicnn.metrics import (
    METRICS,
    accuracy,
    confusion_matrix,
    macro_f1,
    macro_precision,
    macro_recall,
    top_k_accuracy,
)

SCORES = np.array([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4], [0.3, 0.3, 0.4], [0.2, 0.5, 0.3]])


def test_accuracy_counts_the_rows_whose_highest_score_is_the_labels():
    result = accuracy(SCORES, [1, 0, 0, 2])
    assert type(result) is float
    assert result == 0.5
    assert accuracy(SCORES, np.eye(3)[[1, 0, 0, 2]]) == 0.5
    assert accuracy(SCORES, np.array([1, 0, 2, 1], np.uint8)) == 1.0


def test_accuracy_of_tied_scores_takes_the_first():
    assert accuracy(np.zeros((4, 3)), [0, 1, 2, 0]) == 0.5


def test_accuracy_of_a_single_column_asks_whether_the_logit_is_above_zero():
    logits = np.array([[3.0], [-2.0], [0.0], [0.1]])
    assert accuracy(logits, [[1], [0], [1], [0]]) == 0.5
    assert accuracy(logits, [1, 0, 0, 1]) == 1.0


def test_accuracy_of_two_columns_compares_them():
    assert accuracy(np.array([[0.1, 0.9], [0.8, 0.2]]), [1, 0]) == 1.0


def test_accuracy_never_counts_a_row_with_nan_but_the_others():
    assert accuracy(np.array([[np.nan, 1.0], [0.0, 1.0], [2.0, np.nan]]), [0, 1, 0]) == 1 / 3


def test_top_k_accuracy_equals_a_hand_count():
    labels = [2, 2, 0, 0]  # in second, second, (tied) second and last place
    assert [top_k_accuracy(SCORES, labels, k) for k in (1, 2, 3)] == [0.0, 0.75, 1.0]
    assert top_k_accuracy(SCORES, np.eye(3)[labels], k=2) == 0.75
    assert top_k_accuracy(-np.arange(14.0).reshape(2, 7), [4, 5]) == 0.5  # k is 5: fifth and sixth place


def test_top_k_accuracy_never_counts_a_label_whose_score_is_nan():
    assert top_k_accuracy(np.array([[np.nan, 1.0, 2.0]]), [0], k=3) == 0.0
    assert top_k_accuracy(np.array([[np.nan, 1.0, 2.0]]), [2], k=2) == 1.0


@pytest.mark.parametrize(
    ("k", "error", "sentence"),
    [
        (0, ValueError, "`k` must be at least 1, got 0"),
        (4, ValueError, "`k` must be at most 3, the number of classes, got 4"),
        (1.0, TypeError, "`k` must be an integer"),
    ],
)
def test_top_k_accuracy_refuses_other_k(k, error, sentence):
    with pytest.raises(error, match=sentence):
        top_k_accuracy(SCORES, [0, 1, 2, 0], k)


@pytest.mark.parametrize("metric", [accuracy, top_k_accuracy])
@pytest.mark.parametrize(
    ("predictions", "labels", "error", "sentence"),
    [
        (np.zeros((0, 3)), np.zeros(0, int), ValueError, "^a metric needs at least one example, got none$"),
        (np.zeros((2, 0)), [0, 1], ValueError, "at least one example"),
        (np.zeros(3), [0, 1, 2], ValueError, r"got \(3,\) and \(3,\)"),
        (np.zeros((2, 3)), [0, 1, 2], ValueError, r"got \(2, 3\) and \(3,\)"),
        (np.zeros((2, 3)), [[0], [1]], ValueError, r"got \(2, 3\) and \(2, 1\)"),
        (np.zeros((2, 3)), [0, 3], ValueError, r"in \[0, 3\), got 3"),
        (np.zeros((5, 1)), [0, 1, 1, 2, 0], ValueError, r"in \[0, 2\), got 2"),
        (np.zeros((2, 3)), [0.0, 1.0], TypeError, "integers"),
    ],
)
def test_metric_refuses_what_does_not_fit(metric, predictions, labels, error, sentence):
    with pytest.raises(error, match=sentence):
        metric(predictions, labels)


def test_confusion_matrix_equals_a_hand_count():
    matrix = confusion_matrix([0, 1, 2, 1, 1], [0, 2, 2, 1, 2])
    assert matrix.dtype == np.int64
    assert matrix.tolist() == [[1, 0, 0], [0, 1, 2], [0, 0, 1]]


def test_confusion_matrix_takes_scores_and_one_hot_labels():
    expected = [[1, 0, 1], [0, 1, 0], [0, 1, 0]]  # rows: truth; the winners are 1, 0, 2, 1
    assert confusion_matrix([1, 0, 0, 2], SCORES).tolist() == expected
    assert confusion_matrix(np.eye(3)[[1, 0, 0, 2]], SCORES).tolist() == expected
    assert confusion_matrix([1, 0], np.array([[2.0], [3.0]])).tolist() == [[0, 1], [0, 1]]


def test_a_column_of_class_numbers_is_not_taken_for_yes_or_no():
    with pytest.raises(ValueError, match=r"0 or 1, got 3; class indices must have shape \(N,\)"):
        confusion_matrix(np.array([[0], [1], [3]]), [0, 1, 3])
    with pytest.raises(ValueError, match="0 or 1, got -1"):
        accuracy(np.zeros((2, 1)), [[-1], [1]])
    assert confusion_matrix(np.array([[0], [1]]), [0, 1]).tolist() == [[1, 0], [0, 1]]


def test_top_k_accuracy_needs_a_column_for_each_class():
    sentence = (
        r"^`predictions` must have a column per class, got only one; for binary logits, use `accuracy`$"
    )
    with pytest.raises(ValueError, match=sentence):
        top_k_accuracy(np.array([[0.3], [-1.0]]), [1, 0], k=1)


def test_confusion_matrix_has_as_many_classes_as_it_is_told():
    assert confusion_matrix([1], [1], num_classes=3).tolist() == [[0, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert confusion_matrix([0, 0], [0, 0]).tolist() == [[2]]
    with pytest.raises(ValueError, match="`num_classes` must be at least 1, got 0"):
        confusion_matrix([0], [0], num_classes=0)
    with pytest.raises(ValueError, match=r"in \[0, 2\), got 2"):
        confusion_matrix([2], [1], num_classes=2)


@pytest.mark.parametrize(
    ("labels", "predictions", "error", "sentence"),
    [
        ([], [], ValueError, "^a metric needs at least one example, got none$"),
        ([0], np.zeros((1, 0)), ValueError, "at least one example"),
        ([0, 1], [0], ValueError, r"got \(2,\) and \(1,\)"),
        (np.zeros((1, 1, 1)), [0], ValueError, r"got \(1, 1, 1\) and \(1,\)"),
        (0, [0], ValueError, r"got \(\) and \(1,\)"),
        ([-1], [-1], ValueError, "got -1"),
        ([0.5], [0], TypeError, "integers"),
        ([np.nan], [0], TypeError, "integers"),
    ],
)
def test_confusion_matrix_refuses_what_does_not_fit(labels, predictions, error, sentence):
    with pytest.raises(error, match=sentence):
        confusion_matrix(labels, predictions)


@pytest.mark.parametrize("metric", [accuracy, macro_f1, functools.partial(top_k_accuracy, k=1)])
def test_labels_with_several_classes_or_none_are_refused(metric):
    scores = np.array([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]])
    for rows in ([[1, 1, 0], [0, 0, 1]], [[0, 0, 0], [0, 1, 0]], [[0, 1, 0], [1.0, 1.0, 1.0]]):
        with pytest.raises(
            ValueError, match="each row of labels must have one class, as one-hot rows do, got"
        ):
            metric(scores, rows)
    tied = np.full((2, 3), 3.0)  # scores, not labels
    assert metric(tied, [0, 0]) == metric(tied, np.eye(3)[[0, 0]])
    assert confusion_matrix([1, 2], tied).tolist() == [[0, 0, 0], [1, 0, 0], [1, 0, 0]]
    soft = [[0.5, 0.5, 0.0], [0.9, 0.05, 0.05]]  # of two images that were mixed
    assert metric(scores, soft) == metric(scores, [0, 0])
    assert metric(scores, [[-1, 1, -1], [1, -1, -1]]) == metric(scores, [1, 0])


@pytest.mark.parametrize("infinite", [-np.inf, np.inf])
def test_infinite_scores_rank_as_very_large_ones(infinite):
    rng = np.random.default_rng(0)
    scores, labels = rng.normal(size=(40, 4)), rng.integers(0, 4, 40)
    scores[np.arange(40), rng.integers(0, 4, 40)] = infinite
    finite = np.where(np.isinf(scores), np.sign(scores) * 1e9, scores)
    with np.errstate(all="raise"):
        for metric in METRICS.values():
            some = {"k": 2} if metric is top_k_accuracy else {}
            assert metric(scores, labels, **some) == metric(finite, labels, **some)
        assert np.array_equal(confusion_matrix(labels, scores), confusion_matrix(labels, finite))


def test_a_row_with_nan_is_found_in_no_class():
    scores = np.array([[np.nan, 1.0], [0.0, 1.0], [2.0, np.nan], [1.0, 0.0]])
    labels = [0, 1, 1, 0]
    assert macro_recall(scores, labels) == (1 / 2 + 1 / 2) / 2
    assert macro_precision(scores, labels) == 1.0
    assert macro_f1(scores, labels) == pytest.approx(2 / 3)
    assert macro_recall(np.array([[np.nan], [1.0]]), [0, 1]) == 1 / 2  # a column of binary logits
    with pytest.raises(ValueError, match="must not have NaN"):
        confusion_matrix(labels, scores)
    with pytest.raises(ValueError, match="must not have NaN"):
        accuracy(np.zeros((1, 2)), [[np.nan, 1.0]])


def test_a_label_that_is_excluded_is_never_among_the_top():
    scores = np.array([[-np.inf, -np.inf, 1.0, 0.0]] * 2)
    assert top_k_accuracy(scores, [0, 3], k=3) == 0.5  # as TensorFlow's in_top_k
    assert accuracy(scores, [2, 0]) == 0.5
