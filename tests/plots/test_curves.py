import math

import pytest
from matplotlib.figure import Figure

from minicnn import History
from minicnn.plots import learning_curves


def lines_of(axes):
    return {
        line.get_label(): (list(map(float, line.get_xdata())), list(map(float, line.get_ydata())))
        for line in axes.lines
    }


HISTORY = History(
    [3, 4],
    {"loss": [0.5, 0.25], "accuracy": [0.75, 0.875], "val_loss": [0.4, 0.3], "val_accuracy": [0.5, 1.0]},
)


def test_learning_curves_show_loss_and_error_in_per_cent():
    figure = learning_curves(HISTORY, test={"loss": 0.35, "accuracy": 0.9})
    loss, error = figure.axes
    # Means over an epoch lie in its middle, what was measured after it at its end.
    assert lines_of(loss) == {
        "training": ([0.5, 1.5], [0.5, 0.25]),
        "validation": ([1.0, 2.0], [0.4, 0.3]),
        "test 0.35": ([2.0], [0.35]),
    }
    assert lines_of(error) == {
        "training": ([0.5, 1.5], [25.0, 12.5]),
        "validation": ([1.0, 2.0], [50.0, 0.0]),
        "test 10.00 %": ([2.0], [pytest.approx(10.0)]),
    }
    assert [axes.get_yscale() for axes in figure.axes] == ["log", "log"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["cross-entropy (nats)", "error (%)"]
    figure.draw_without_rendering()


def test_learning_curves_draw_on_given_axes():
    figure = Figure()
    assert learning_curves(HISTORY, axes=figure.subplots(1, 2)) is figure
    assert len(figure.axes[0].lines) == 2


@pytest.mark.parametrize(
    "history",
    [
        History(),
        History([0], {"loss": [0.5]}),
        History([0, 1], {"loss": [0.0, 0.0], "accuracy": [1.0, 1.0]}),
        History([0], {"loss": [math.nan], "accuracy": [0.1]}),
        History([0, 1], {"loss": [1e30, 1e-30], "accuracy": [0.1, 0.1]}),
        History(list(range(40)), {"loss": [0.5] * 40, "accuracy": [0.9] * 40}),
    ],
)
def test_learning_curves_of_odd_histories_can_be_drawn(history):
    learning_curves(history).draw_without_rendering()


def test_ticks_are_round_numbers_also_where_the_curve_is_flat():
    figure = learning_curves(History([0, 1], {"loss": [0.62, 0.58], "accuracy": [0.8, 0.8]}))
    figure.draw_without_rendering()
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    low, high = figure.axes[0].get_ylim()
    shown = [label for label in labels if low <= float(label) <= high]
    assert len(shown) >= 3
    assert all(len(label) <= 5 for label in shown)


def test_ticks_are_there_also_where_the_loss_fell_to_nothing():
    losses = [2 * 0.7**epoch for epoch in range(100)]
    figure = learning_curves(History(list(range(100)), {"loss": losses, "accuracy": [0.9] * 100}))
    figure.draw_without_rendering()
    low, high = figure.axes[0].get_ylim()
    assert sum(low <= tick <= high for tick in figure.axes[0].get_yticks()) >= 3
