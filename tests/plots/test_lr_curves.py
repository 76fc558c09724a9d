import numpy as np
import pytest
from matplotlib.colors import to_rgba

from minicnn.insight import Distributions
from minicnn.plots import distributions, learning_rates
from minicnn.plots.style import WINE
from minicnn.training import RateSearch


@pytest.fixture
def record():
    """Return a record of two blocks at three steps; the gradient of the second vanishes."""
    watch = Distributions(np.zeros((1, 1)), np.zeros(1))
    rng = np.random.default_rng(0)
    watch.names, watch.steps = ["0 Conv2D", "3 Dense"], [0, 10, 20]
    watch.activations = list(np.sort(rng.normal(size=(3, 2, 5))))
    watch.gradients = list(np.sort(rng.random((3, 2, 5))) * np.array([[1.0], [0.0]]))
    watch.dead = [np.array([0.0, share]) for share in (0.0, 0.25, 1.0)]
    return watch


def test_distributions_draw_a_column_a_block(record):
    figure = distributions(record)
    axes = np.array(figure.axes).reshape(3, 2)
    for block in range(2):
        (median,) = axes[0, block].lines
        assert median.get_xdata().tolist() == [0, 10, 20]
        assert median.get_ydata().tolist() == [look[block, 2] for look in record.activations]
        light, dark = (
            np.concatenate([p.vertices for p in c.get_paths()]) for c in axes[0, block].collections
        )
        assert light[:, 1].max() == max(look[block, 4] for look in record.activations)
        assert dark[:, 1].min() == min(look[block, 1] for look in record.activations)
    assert axes[2, 1].lines[0].get_ydata().tolist() == [0, 25, 100]
    assert axes[2, 1].get_ylim() == (0, 100)
    bottom = axes[1, 1].get_ylim()[0]
    assert (axes[1, 1].lines[0].get_ydata() == bottom).all()  # what has vanished lies on the ground
    assert (axes[1, 0].lines[0].get_ydata() > bottom).all()
    assert axes[1, 0].get_yscale() == "log"
    assert [ax.get_ylabel() for ax in axes[:, 0]] == [
        "activation",
        "|dL/dweight| (nats)",
        "dead channels (%)",
    ]
    assert [ax.get_title(loc="left") for ax in axes[0]] == record.names
    figure.draw_without_rendering()


def test_distributions_need_a_record():
    with pytest.raises(ValueError, match="`record` is empty: pass it to a Trainer as a callback"):
        distributions(Distributions(np.zeros((1, 1)), np.zeros(1)))


def test_distributions_of_nothing_but_zeros_can_be_drawn(record):
    record.gradients = [np.zeros((2, 5))] * 3
    distributions(record).draw_without_rendering()


def test_learning_rates_mark_the_suggestion():
    figure = learning_rates(RateSearch([0.001, 0.01, 0.1], [2.0, 1.0, 3.0], 0.001))
    (axes,) = figure.axes
    curve, mark = axes.lines
    assert curve.get_xydata().tolist() == [[0.001, 2.0], [0.01, 1.0], [0.1, 3.0]]
    assert mark.get_xdata() == [0.001, 0.001]
    assert to_rgba(mark.get_color()) == to_rgba(WINE)
    assert axes.texts[0].get_text().strip() == "0.001"
    assert (axes.get_xscale(), axes.get_xlabel()) == ("log", "learning rate")
    figure.draw_without_rendering()


def test_a_single_step_is_to_be_seen(record):
    for name in ("steps", "activations", "gradients", "dead"):
        setattr(record, name, getattr(record, name)[:1])
    lines = [line for axes in distributions(record).axes for line in axes.lines]
    lines += learning_rates(RateSearch([0.1], [1.0], 0.1)).axes[0].lines[:1]
    assert [line.get_marker() for line in lines] == ["o"] * 7
