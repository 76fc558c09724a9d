"""Try what the chapter says about training: rates, schedules, weights of classes, metrics, when to stop.

python examples/training/pictures.py [--out DIR] [--limit 1000] [--epochs 1.0]
"""

import argparse
from pathlib import Path

import numpy as np

from minicnn import SGD, Adam, Callback, EarlyStopping, ReduceLROnPlateau, Trainer
from minicnn.datasets import load_mnist
from minicnn.metrics import confusion_matrix
from minicnn.models import lenet5
from minicnn.plots.style import INK, MUTED, SMALL, TEAL, WINE, dress, figure_of, new_axes, series
from minicnn.schedules import cosine, step_decay

HERE = Path(__file__).resolve().parent
BATCH, SEEDS = 32, 3
RARE = (4, 7, 9)  # digits that look alike


def new_trainer(optimizer, seed=0, metrics=("accuracy",)):
    """Return a trainer of a new LeNet-5; on one thread, for the same numbers on every machine."""
    return Trainer(lenet5().build((28, 28, 1), rng=seed), optimizer, metrics=metrics, seed=seed, threads=1)


def legend(axes, place="best"):
    """Write the names of the lines into a plot."""
    axes.legend(loc=place, fontsize=SMALL, frameon=False)


def save(axes, path):
    """Write the figure of these axes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure_of(axes).savefig(path, dpi=100)


class Losses(Callback):
    """The loss of each step, smoothed."""

    def __init__(self):
        self.losses, self.before, self.seen = [], 0.0, 0

    def on_epoch_begin(self, epoch):
        """Begin with a new mean."""
        self.before, self.seen = 0.0, 0

    def on_batch_end(self, step, logs):
        """Take the loss of this step out of the mean of the epoch so far."""
        total, seen = logs["loss"] * self.state.seen, self.state.seen
        loss = (total - self.before) / (seen - self.seen)
        self.before, self.seen = total, seen
        self.losses.append(loss if not self.losses else 0.8 * self.losses[-1] + 0.2 * loss)


class Rates(Callback):
    """The learning rate of each step."""

    def __init__(self):
        self.rates = []

    def on_batch_begin(self, step):
        """Note the rate."""
        self.rates.append(self.state.optimizer.learning_rate)


def draw_rates(train, test, epochs, out):
    """Search a rate, and train with it, with smaller and with larger ones."""
    steps = min(67 * epochs, 200)  # fewer in a small run
    found = new_trainer(Adam()).lr_find(*train, BATCH, steps=steps)
    print(f"lr_find suggests {found.suggestion:.2g}")
    left, right = new_axes(10, 4, columns=2)
    left.semilogx(found.rates, found.losses, color=TEAL)
    left.axvline(found.suggestion, color=WINE, linestyle="--", label=f"suggestion {found.suggestion:.2g}")
    left.set_ylim(0, 1.3 * found.losses[0])
    dress(left, "lr_find: one step with each rate", "learning rate", "loss, smoothed")
    legend(left, "upper left")
    for number, factor in enumerate((0.01, 0.1, 1, 10, 100)):
        losses, rate = Losses(), factor * found.suggestion
        trainer = new_trainer(Adam(rate))
        trainer.fit(*train, epochs, BATCH, callbacks=[losses], verbose=0)
        accuracy = trainer.evaluate(*test)["accuracy"]
        print(f"rate {rate:.2g}: test accuracy {accuracy:.3f} after {epochs} epochs")
        right.plot(losses.losses, **series(number), label=f"{rate:.2g}: test accuracy {accuracy:.2f}")
    right.set_ylim(0, 1.9 * found.losses[0])
    dress(right, "training with five rates", "step", "loss, smoothed")
    legend(right, "upper right")
    save(right, out / "rates.png")


def draw_schedules(train, test, epochs, out):
    """Train with a constant rate and with falling ones, with several seeds."""
    steps = epochs * -(-len(train[0]) // BATCH)
    ways = {
        "constant": (lambda: 0.05, list),
        "step_decay": (lambda: step_decay(0.05, every=-(-steps // 3), factor=0.2), list),
        "cosine, with warm-up": (lambda: cosine(0.05, steps - steps // 10, warmup=steps // 10), list),
        "ReduceLROnPlateau": (lambda: 0.05, lambda: [ReduceLROnPlateau(factor=0.2, patience=1)]),
    }
    left, right = new_axes(10, 4, columns=2)
    for number, (name, (rate, more)) in enumerate(ways.items()):
        curves = []
        for seed in range(SEEDS):
            rates = Rates()
            trainer = new_trainer(SGD(rate(), momentum=0.9), seed)
            callbacks = [*more(), rates]
            history = trainer.fit(
                *train, epochs, BATCH, validation_data=test, callbacks=callbacks, verbose=0
            ).history
            curves.append(history["val_loss"])
        mean = np.mean(curves, axis=0)
        print(f"{name}: test loss {mean[-1]:.3f}, of the seeds {', '.join(f'{c[-1]:.3f}' for c in curves)}")
        left.plot(rates.rates, **series(number), label=name)
        right.plot(range(1, epochs + 1), mean, **series(number), label=f"{name}: {mean[-1]:.3f}")
    dress(left, "learning rate", "step")
    dress(right, f"test loss, mean of {SEEDS} seeds", "epoch")
    legend(left)
    legend(right)
    save(left, out / "schedules.png")


def make_rare(x, y, part):
    """Leave out most examples of some classes."""
    keep = ~np.isin(y, RARE)
    for digit in RARE:
        rows = np.flatnonzero(y == digit)
        keep[rows[: max(round(part * len(rows)), 1)]] = True
    return x[keep], y[keep]


def draw_classes(train, test, epochs, out):
    """Train where some digits are rare, without weights and with weights of classes."""
    x, y = make_rare(*train, 0.05)
    counts = np.bincount(y, minlength=10)
    weights = {digit: len(y) / (10 * count) for digit, count in enumerate(counts) if count}
    rare_test = make_rare(*test, 0.05)
    left, right = new_axes(10, 4, columns=2)
    for name, class_weight, color, shift in (
        ("without weights", None, WINE, -0.2),
        ("class_weight", weights, TEAL, 0.2),
    ):
        trainer = new_trainer(Adam(1e-3), metrics=("accuracy", "macro_f1"))
        history = trainer.fit(
            *(x, y, epochs, BATCH), class_weight=class_weight, validation_data=rare_test, verbose=0
        ).history
        matrix = confusion_matrix(test[1], trainer.predict(test[0]), 10)
        recall = np.diag(matrix) / matrix.sum(axis=1)
        rare = list(RARE)
        others = [digit for digit in range(10) if digit not in RARE]
        print(
            f"{name}: test accuracy {history['val_accuracy'][-1]:.3f}, macro F1 "
            f"{history['val_macro_f1'][-1]:.3f}; recall of rare digits {recall[rare].mean():.3f}, "
            f"of the others {recall[others].mean():.3f}"
        )
        when = range(1, epochs + 1)
        left.plot(when, history["val_accuracy"], color=color, label=f"accuracy, {name}")
        left.plot(when, history["val_macro_f1"], color=color, linestyle="--", label=f"macro F1, {name}")
        right.bar(np.arange(10) + shift, recall, 0.38, color=color, label=name)
    dress(left, "test set in which 4, 7 and 9 are rare", "epoch")
    dress(right, "part of each digit that is found", "digit")
    left.set_ylim(0, 1)
    right.set_ylim(0, 1.25)
    right.set_xticks(range(10))
    legend(left, "lower right")
    right.legend(loc="upper center", fontsize=SMALL, frameon=False, ncols=2)
    save(left, out / "classes.png")


def draw_stopping(train, test, epochs, out):
    """Train for too long on labels of which some are random; mark the epochs that EarlyStopping chooses."""
    x, y = train[0], train[1].copy()
    rng = np.random.default_rng(0)
    random = rng.random(len(y)) < 0.2
    y[random] = rng.integers(0, 10, random.sum())
    trainer = new_trainer(Adam(1e-3))
    history = trainer.fit(x, y, epochs, BATCH, validation_data=test, verbose=0).history
    stopping = EarlyStopping("val_loss", patience=5)
    early = new_trainer(Adam(1e-3))
    stopped = early.fit(x, y, epochs, BATCH, validation_data=test, callbacks=[stopping], verbose=0).epoch
    best = int(np.argmin(history["val_loss"][: len(stopped)]))
    restored, last = (
        early.evaluate(*test),
        {name: history[f"val_{name}"][-1] for name in ("loss", "accuracy")},
    )
    print(f"stopped after {len(stopped)} epochs, best epoch {best + 1}: {format_scores(restored)}")
    print(f"after all {epochs} epochs: {format_scores(last)}")
    left, right = new_axes(10, 4, columns=2)
    when = range(1, epochs + 1)
    left.plot(when, history["loss"], **series(0), label="training, a fifth of the labels random")
    left.plot(when, history["val_loss"], **series(1), label="test")
    right.plot(when, history["accuracy"], **series(0), label="training, a fifth of the labels random")
    right.plot(when, history["val_accuracy"], **series(1), label="test")
    for axes, title in ((left, "loss"), (right, "accuracy")):
        axes.axvline(best + 1, color=INK, linestyle="-.", label="best test loss, restored")
        axes.axvline(len(stopped), color=MUTED, linestyle=":", label="stopped")
        dress(axes, title, "epoch")
        axes.set_ylim(0)
    legend(left, "upper right")
    save(left, out / "stopping.png")


def format_scores(scores):
    """Return loss and accuracy as text."""
    return f"test loss {scores['loss']:.3f}, test accuracy {scores['accuracy']:.3f}"


def main(argv=None):
    """Make the four pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE, metavar="DIR", help="where to (default: here)")
    parser.add_argument("--limit", type=int, default=1000, help="digits to train on, and to test on")
    parser.add_argument("--epochs", type=float, default=1.0, help="factor of the numbers of epochs")
    args = parser.parse_args(argv)
    train, test = ((x[: args.limit], y[: args.limit]) for x, y in load_mnist())
    for draw, epochs in ((draw_rates, 3), (draw_schedules, 8), (draw_classes, 8), (draw_stopping, 30)):
        draw(train, test, max(round(args.epochs * epochs), 1), args.out)


if __name__ == "__main__":
    main()
