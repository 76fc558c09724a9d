"""A network with random weights that learns in a thread of its own, while the page watches and steers it."""

import math
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from minicnn.demo.session import Session
from minicnn.demo.settings import Settings
from minicnn.demo.snapshots import gradients, kernels, thinned, untrained
from minicnn.insight import Trace, blocks
from minicnn.ops.activations import softmax
from minicnn.optimizers import OPTIMIZERS
from minicnn.training import Batch, Trainer
from minicnn.training.batches import make_batches

COMMANDS = ("play", "pause", "step", "epoch", "back")
_REFRESH = 0.04  # seconds between two pictures of the weights
_UNWATCHED = 30.0  # seconds without a look, after which the training pauses
_POINTS_PER_EPOCH = 60
_TESTS_PER_EPOCH = 5
_TEST_IMAGES = 1000
_BACK_BYTES = 64 << 20  # of the states that "back" returns to


class _State(NamedTuple):
    """Everything that a training continues from."""

    weights: list[np.ndarray]
    optimizer: dict[str, np.ndarray]
    step: int
    train: int  # points of the curve
    test: int


class Learning:
    """A training that is played, paused, taken step by step, and taken back.

    Parameters
    ----------
    session : Session
        Its network gives the architecture, its data set the images.
    settings : Settings
        Optimizer, learning rate, batch size and seed.
    threads : int, optional
        Cores that compute a step, as for `Trainer`.

    Raises
    ------
    FileNotFoundError, FileFormatError
        If the data set is not known, or no longer exists.
    """

    def __init__(self, session: Session, settings: Settings, threads: int | None = None) -> None:
        self.session, self.settings = session, settings
        (x, y), (x_test, y_test) = session.inputs.training, session.inputs.examples
        self._images, self._test = len(x), (x_test[:_TEST_IMAGES], y_test[:_TEST_IMAGES])
        self._model, self._viewer = (untrained(session.model, settings.seed) for _ in range(2))
        optimizer = OPTIMIZERS[settings.optimizer].make(lr=settings.lr, weight_decay=0.0)
        self._trainer = Trainer(self._model, optimizer, seed=settings.seed, threads=threads)
        self._batches = make_batches(x, y, self._model, settings.batch_size, seed=settings.seed, augment=None)
        self._rest: Iterator[Batch] = iter(())  # of the epoch, as far as it was begun
        self.steps_per_epoch = math.ceil(len(x) / settings.batch_size)
        self.step = 0
        self.error = ""
        self._train: list[list[float]] = []  # step, loss, accuracy: means since the last point
        self._tested: list[list[float]] = []
        self._recent: list[tuple[float, float]] = []
        size = 3 * sum(weight.nbytes for weight in self._model.get_weights())
        self._past: deque[_State] = deque(maxlen=max(1, min(100, _BACK_BYTES // max(size, 1))))
        self._todo: float = 0  # steps
        self._takes_back = self._closed = self._marks = False
        self._change = threading.Condition()
        self._viewing = threading.Lock()
        self._seen_at = time.monotonic()
        self._rate, self._counted = 0.0, (time.monotonic(), 0)
        self._shown: dict[str, Any] = {}
        self._show()
        self._thread = threading.Thread(target=self._run, daemon=True, name="minicnn-demo-learning")
        self._thread.start()

    def describe(self) -> dict[str, Any]:
        """Return what the page shows once."""
        return {
            "settings": asdict(self.settings),
            "weights": sum(p.size for p in self._model.parameters() if not p.is_statistic),
            "images": self._images,
            "tests": len(self._test[0]),
            "steps_per_epoch": self.steps_per_epoch,
        }

    def command(self, name: str) -> None:
        """Do one of `COMMANDS`; "back" returns to where the last of the others began."""
        if name not in COMMANDS:
            raise ValueError(f"`command` must be one of {', '.join(COMMANDS)}, got {name!s:.40}")
        left = self.steps_per_epoch - self.step % self.steps_per_epoch
        with self._change:
            self._seen_at = time.monotonic()
            self._todo = {"play": math.inf, "step": 1, "epoch": left}.get(name, 0)
            self._takes_back = name == "back"
            self.error = ""
            self._marks = self._todo > 0  # the thread remembers the state before the first step
            self._change.notify()

    def close(self) -> None:
        """End the training."""
        with self._change:
            self._closed = True
            self._change.notify()
        self._thread.join(timeout=60)

    @property
    def idle(self) -> float:
        """Seconds since somebody looked."""
        return time.monotonic() - self._seen_at

    def look(self, image: np.ndarray | None) -> dict[str, Any]:
        """Return how far the training is, and what the network is like at this moment.

        Parameters
        ----------
        image : ndarray, optional
            What the network is asked about.
        """
        self._seen_at = time.monotonic()
        shown = self._shown
        found = {name: value for name, value in shown.items() if name != "weights"}
        found |= {"playing": self._todo > 0, "error": self.error, "back": len(self._past)}
        with self._viewing:
            self._viewer.set_weights(shown["weights"])
            found["kernels"] = kernels(self._viewer)
            if image is not None:
                trace = Trace(self._viewer, self.session.inputs.to_batch(image))
                found["probabilities"] = softmax(trace.outputs[-1])[0]
                maps = [block for block in blocks(self._viewer) if trace.outputs[block.last].ndim == 4]
                found["maps"] = [{"name": m.name, "values": trace.outputs[m.last][0]} for m in maps]
        return found

    def _run(self) -> None:
        try:
            with self._trainer.session():
                while self._wait():
                    if self._takes_back:
                        self._restore()
                    else:
                        self._advance()
        except Exception as error:  # of the user's own layers, of workers, of a full memory
            self.error = f"the training ended: {error}"
            self._todo = 0

    def _wait(self) -> bool:
        """Wait until there is something to do; return False at the end."""
        with self._change:
            if self.idle > _UNWATCHED:
                self._todo = 0
            self._change.wait_for(lambda: self._todo > 0 or self._takes_back or self._closed)
            return not self._closed

    def _advance(self) -> None:
        """Make a step."""
        if self._marks:
            self._marks = False
            self._past.append(self._state())
            if not self.step:
                self._evaluate()
        try:
            results = self._trainer.train_step(self._next_batch())
        except FloatingPointError as error:
            self.error, self._todo, self._rest = f"{error}", 0, iter(())
            return
        self.step += 1
        self._record(results["loss"], results["accuracy"])
        with self._change:
            self._todo = max(0, self._todo - 1)
        if self._todo == 0 or time.monotonic() - self._counted[0] > _REFRESH:
            self._show()

    def _next_batch(self) -> Batch:
        """Return the batch that `Trainer.fit` takes at this step."""
        batch = next(self._rest, None)
        if batch is None:
            epoch, step = divmod(self.step, self.steps_per_epoch)
            self._rest = self._batches.epoch(epoch, step, self._trainer.ranks)
            batch = next(self._rest)
        return batch

    def _record(self, loss: float, accuracy: float) -> None:
        self._recent.append((float(loss), float(accuracy)))
        every = max(1, self.steps_per_epoch // _POINTS_PER_EPOCH)
        if self.step % every == 0 or self._todo <= 1:
            self._train.append([self.step, *np.mean(self._recent, axis=0).tolist()])
            self._recent.clear()
        if _parts(self.step, self.steps_per_epoch) > _parts(self.step - 1, self.steps_per_epoch):
            self._evaluate()

    def _evaluate(self) -> None:
        scores = self._trainer.evaluate(*self._test)
        self._tested.append([self.step, scores["loss"], scores["accuracy"]])

    def _state(self) -> _State:
        optimizer = self._trainer.optimizer.state_dict()
        return _State(self._model.get_weights(), optimizer, self.step, len(self._train), len(self._tested))

    def _restore(self) -> None:
        """Return to where the last command began."""
        with self._change:
            self._takes_back = False
        if self._past:
            weights, optimizer, self.step, train, test = self._past.pop()
            self._model.set_weights(weights)
            self._trainer.optimizer.load_state_dict(optimizer, self.step, self._model.parameters())
            del self._train[train:], self._tested[test:]
            self._recent.clear()
            self._rest = iter(())
        self._show()

    def _show(self) -> None:
        """Publish the state of this moment, for `look` in other threads."""
        now, (before, steps) = time.monotonic(), self._counted
        if self.step > steps:
            self._rate = (self.step - steps) / max(now - before, 1e-9)
        self._counted = now, self.step
        self._shown = {
            "step": self.step,
            "rate": self._rate,
            "train": thinned(self._train),
            "test": thinned(self._tested),
            "gradients": gradients(self._model),
            "weights": self._model.get_weights(),
        }


def _parts(step: int, steps_per_epoch: int) -> int:
    """Return the number of parts of an epoch, after each of which is a test, that are done at a step."""
    return step * _TESTS_PER_EPOCH // steps_per_epoch
