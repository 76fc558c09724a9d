import threading

import numpy as np
import pytest

from minicnn.demo.courtesy import Courtesy
from minicnn.demo.learning import Learning
from minicnn.demo.settings import Settings
from minicnn.demo.training import Training

DATA = np.zeros((64, 28, 28, 1), np.uint8), np.arange(64) % 10


def test_a_step_waits_for_all_answers_and_for_none_that_failed():
    courtesy, went = Courtesy(patience=60), threading.Event()

    def step():
        courtesy.give_way()
        went.set()

    with courtesy.answering():
        thread = threading.Thread(target=step, daemon=True)
        thread.start()
        with pytest.raises(ValueError, match="no such cell"), courtesy.answering():
            raise ValueError("no such cell")
        assert not went.wait(0.05)
    thread.join(timeout=60)
    assert went.is_set()
    courtesy.give_way()  # at once


def test_a_training_goes_on_beside_answers_without_end(opened):
    courtesy = Courtesy(patience=1e-3)
    training = Training(opened.model, opened.inputs, Settings(batch_size=16), DATA, None, threads=1)
    learning = Learning([training], courtesy)
    with courtesy.answering():
        learning.command("epoch")
        *_, seen = learning.watch(None)
    assert seen["nets"][0]["step"] == learning.look(None)["nets"][0]["step"] == 4
    learning.close()


def test_the_answer_to_a_drawing_is_one_that_steps_wait_for():
    courtesy = Courtesy(patience=0)
    answers = []
    view = courtesy.first(lambda: answers.append(courtesy.pending))
    view()
    assert answers == [1]
    assert courtesy.pending == 0
