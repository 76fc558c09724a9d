"""One network that learns from nothing, or two in a race, in a thread of its own, steered by the page."""

import contextlib
import math
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from minicnn.demo.courtesy import Courtesy
from minicnn.demo.training import State, Training

COMMANDS = ("play", "pause", "step", "epoch", "back")
_FRESH = 0.03  # seconds that a look waits for the state after the step that runs
_LAST = 5.0  # seconds that it waits for the step that ran when the training was told to pause
_PERIOD = 0.092  # seconds from one picture to the next of those that watch: more than ten a second
_WATCHERS = 4  # windows of one browser that watch at the same time
_UNWATCHED = 30.0  # seconds without a look, after which the training pauses
_MOST_BACK, _BACK_BYTES = 100, 16 << 20  # states that "back" returns to, and their memory


class Learning:
    """Trainings that are played, paused, taken step by step, and taken back together.

    In a race, the one that is behind makes the next step: both see the same number of images.

    Parameters
    ----------
    trainings : sequence of Training
        One, or the two of a race.
    courtesy : Courtesy, optional
        Whose answers go before steps, and before the pictures of those that watch.
    """

    def __init__(self, trainings: Sequence[Training], courtesy: Courtesy | None = None) -> None:
        self.trainings = list(trainings)
        self._courtesy = courtesy or Courtesy()
        self.error = ""
        size = sum(training.size for training in self.trainings)
        self._past: deque[list[State]] = deque(maxlen=max(1, min(_MOST_BACK, _BACK_BYTES // max(size, 1))))
        self._takes_back = self._closed = self._marks = self._wanted = False
        self.busy = False  # whether a command is not done yet, or what it did is not published
        self._watchers = 0  # so far
        self._change = threading.Condition()
        self._seen_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, daemon=True, name="minicnn-demo-learning")
        self._thread.start()

    @property
    def playing(self) -> bool:
        """Whether there are steps to make."""
        return any(training.step < training.goal for training in self.trainings)

    @property
    def idle(self) -> float:
        """Seconds since the last look."""
        return time.monotonic() - self._seen_at

    def command(self, name: str) -> None:
        """Do one of `COMMANDS`; "back" returns to where the last of the others began."""
        if not isinstance(name, str) or name not in COMMANDS:
            raise ValueError(f"`command` must be one of {', '.join(COMMANDS)}, got {name!s:.40}")
        with self._change:
            self._seen_at = time.monotonic()
            for training in self.trainings:
                training.begin(_goal(name, training))
            self._takes_back = name == "back"
            self._marks = self.playing  # the thread remembers the state before the first step
            self._wanted = self.busy = True
            self._change.notify_all()

    def look(self, image: np.ndarray | None) -> dict[str, Any]:
        """Return how far the trainings are, and what the networks are like at this moment.

        Parameters
        ----------
        image : ndarray, optional
            What the networks are asked about.
        """
        self._refresh()
        with self._courtesy.answering():
            return self._shown(image)

    def _refresh(self) -> None:
        """Wait until the step that runs is published."""
        with self._change:
            self._seen_at = time.monotonic()
            if self.busy:
                self._wanted = True
                self._change.wait_for(lambda: not self._wanted, _FRESH if self.playing else _LAST)

    def _shown(self, image: np.ndarray | None) -> dict[str, Any]:
        return {
            "playing": self.playing,
            "error": self.error,
            "back": len(self._past),
            "nets": [training.look(image) for training in self.trainings],
        }

    def watch(self, image: np.ndarray | None) -> Iterator[dict[str, Any]]:
        """Return what `look` returns ten times a second, until the training pauses.

        The oldest of more than `_WATCHERS` ends, too.
        """
        self._watchers += 1
        return self._looks(image, self._watchers)

    def _looks(self, image: np.ndarray | None, number: int) -> Iterator[dict[str, Any]]:
        due = time.monotonic()
        while number > self._watchers - _WATCHERS and not self._closed:
            playing = self.playing  # before the look, so that the last one shows the pause
            self._refresh()
            self._courtesy.give_way()
            yield self._shown(image)
            if not playing:
                return
            due = max(due + _PERIOD, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))

    def close(self) -> None:
        """End the trainings."""
        with self._change:
            self._closed = True
            self._change.notify_all()
        self._thread.join(timeout=60)

    def _run(self) -> None:
        try:
            with contextlib.ExitStack() as sessions:
                for training in self.trainings:
                    sessions.enter_context(training.trainer.session())
                while self._wait():
                    self._courtesy.give_way()
                    self._restore() if self._takes_back else self._advance()
        except Exception as error:  # of the user's own layers, of workers, of a full memory
            self.error = f"the training ended: {error}"
            for training in self.trainings:
                training.goal = 0
            with self._change:
                self._wanted = self.busy = False
                self._change.notify_all()

    def _wait(self) -> bool:
        """Publish what is wanted, and wait until there is something to do; return False at the end."""
        with self._change:
            if self.idle > _UNWATCHED:
                self._stop()
            if self._wanted and not self._takes_back and not self._marks:
                for training in self.trainings:
                    training.publish()
                self._wanted, self.busy = False, self.playing
                self._change.notify_all()
            self._change.wait_for(lambda: self.playing or self._takes_back or self._wanted or self._closed)
            return not self._closed

    def _advance(self) -> None:
        """Let the training that is behind make a step."""
        if self._marks:
            self._marks = False
            self._past.append([training.state() for training in self.trainings])
        left = [training for training in self.trainings if training.step < training.goal]
        if left:
            min(left, key=lambda training: training.epoch).advance()
        if not self.playing:
            self._wanted = True

    def _stop(self) -> None:
        for training in self.trainings:
            training.goal = training.step

    def _restore(self) -> None:
        """Return to where the last command began."""
        with self._change:
            self._takes_back = False
        if self._past:
            for training, state in zip(self.trainings, self._past.pop(), strict=True):
                training.restore(state)


def _goal(command: str, training: Training) -> float:
    """Return the step at which a training is to pause."""
    epoch = training.step // training.steps_per_epoch + 1
    goals = {"play": math.inf, "step": training.step + 1, "epoch": epoch * training.steps_per_epoch}
    return goals.get(command, training.step)
