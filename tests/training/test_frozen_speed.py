"""The speed of a step with a frozen trunk: `pytest -n 0 -s -m campaign tests/training/test_frozen_speed.py`.

It prints how many times as fast a step of `resnet_small` is when all but its last layer is frozen, in the CPU
time of one thread, so that other programs on the machine hardly count.
"""

import time

import numpy as np
import pytest

from minicnn import Adam, Trainer
from minicnn.models import resnet_small

STEPS, BATCH = 5, 64


def seconds_of_a_step(frozen):
    model = resnet_small(10).build((32, 32, 3), rng=0)
    for layer in model[:-1] if frozen else ():
        layer.trainable = False
    rng = np.random.default_rng(0)
    x, y = (
        rng.integers(0, 256, (STEPS * BATCH, 32, 32, 3), dtype=np.uint8),
        rng.integers(0, 10, STEPS * BATCH),
    )
    trainer = Trainer(model, Adam(), threads=1)
    trainer.fit(x, y, 1, BATCH, verbose=0)  # memory is allocated, algorithms are chosen
    start = time.process_time()
    trainer.fit(x, y, 1, BATCH, verbose=0)
    return (time.process_time() - start) / STEPS


@pytest.mark.campaign
def test_the_speed_of_a_step_with_a_frozen_trunk():
    ratios = sorted(seconds_of_a_step(False) / seconds_of_a_step(True) for _ in range(3))
    print(f"\na step is {ratios[1]:.2f} times as fast ({ratios[0]:.2f} to {ratios[2]:.2f})")
