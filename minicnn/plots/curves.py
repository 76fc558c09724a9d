"""Loss and error of each epoch."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from minicnn.plots.style import FAINT, INK, TEXT, dress, figure_of, new_axes, series
from minicnn.training import History


def learning_curves(
    history: History, test: Mapping[str, float] | None = None, axes: Sequence[Axes] | None = None
) -> Figure:
    """Draw loss and error over the epochs, on logarithmic scales.

    Parameters
    ----------
    history : History
        As `Trainer.fit` returns it. Training values are means over an epoch and are drawn in its middle;
        validation values are drawn at its end.
    test : mapping, optional
        `loss` and `accuracy` on the test set, as `Trainer.evaluate` returns them; drawn at the end.
    axes : sequence of two Axes, optional
        Where to draw loss and error.

    Returns
    -------
    Figure
    """
    loss_axes, error_axes = new_axes(8, 3.4, columns=2) if axes is None else axes
    _curves(loss_axes, "loss", history, test or {})
    _curves(error_axes, "accuracy", history, test or {})
    dress(loss_axes, "Loss", "epoch", "cross-entropy (nats)")
    dress(error_axes, "Error", "epoch", "error (%)")
    return figure_of(loss_axes)


def _curves(axes: Axes, name: str, history: History, test: Mapping[str, float]) -> None:
    """Draw one metric of training, validation and test; accuracy as an error in per cent."""
    measured = history.history
    epochs = [epoch - history.epoch[0] for epoch in history.epoch]
    many = len(epochs) > 30
    drawn: list[float] = []
    for number, (label, key, marker, offset) in enumerate(
        (("training", name, "o", 0.5), ("validation", f"val_{name}", "s", 1.0))
    ):
        if key in measured:
            y = [_shown(name, value) for value in measured[key]]
            x = [epoch + offset for epoch in epochs]
            drawn += y
            style = series(number) | {"marker": None if many else marker, "markersize": 4}
            axes.plot(x, y, **style, label=label, linewidth=1.8)
    if name in test:
        value = _shown(name, test[name])
        text = f"test {value:.2f} %" if name == "accuracy" else f"test {value:.3g}"
        drawn.append(value)
        axes.plot(len(epochs), value, color=INK, label=text, linestyle="none", marker="D", markersize=7)
    if any(value > 0 for value in drawn):
        _scale(axes)
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlim(0, max(len(epochs), 1) * 1.03)
    if drawn:
        axes.legend(fontsize=TEXT, labelcolor=INK, frameon=False)


def _scale(axes: Axes) -> None:
    """Make the y axis logarithmic, with round numbers at its ticks; a value of 0 lies below the plot."""
    axes.set_yscale("log")
    low, high = axes.get_ylim()
    # 1, 2 and 5 of each decade; linear steps for less than a decade, powers of ten for many.
    subs = (1.0, 2.0, 5.0) if high < 1e5 * low else (1.0,)
    axes.yaxis.set_major_locator(LogLocator(subs=subs) if high > 6 * low else MaxNLocator(5))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _shown(name: str, value: float) -> float:
    return 100.0 * (1.0 - value) if name == "accuracy" else value
