"""100,000 pictures in less than 500 MB: `pytest -n 0 -m campaign tests/datasets/test_many_pictures.py`.

`MINICNN_PICTURES` is another number. The speed of an epoch is printed beside that of the same pictures as an
array, which takes turns with it in the same process; memory is that of a process of its own.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from minicnn import Adam, Trainer
from minicnn.datasets import ImageFolder, load_image_folder
from minicnn.models import lenet5
from minicnn.profiling import peak_memory_mb

COUNT = int(os.environ.get("MINICNN_PICTURES", 100_000))
LIMIT_MB = 500


def make_pictures(folder, count):
    """Write pictures of noise over a colour for each of ten classes."""
    rng = np.random.default_rng(0)
    block = rng.integers(0, 100, (1000, 32, 32, 3), dtype=np.uint8)
    for name in range(10):
        (folder / str(name)).mkdir(parents=True)

    def write(k):
        pixels = np.roll(block[k % 1000], k // 1000, axis=0)
        pixels[..., k % 3] += k % 10 * 15
        Image.fromarray(pixels).save(folder / str(k % 10) / f"{k:06}.png", compress_level=1)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(write, range(count)))
    return folder


def seconds(data, epochs):
    """Return the seconds of each epoch of a fit."""
    import time

    from minicnn.training import Callback

    class Clock(Callback):
        def __init__(self):
            self.times = []

        def on_epoch_begin(self, epoch):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs):
            self.times.append(time.perf_counter() - self.start)

    clock = Clock()
    trainer = Trainer(lenet5(10).build((32, 32, 3), rng=0), Adam())
    trainer.fit(*data, epochs=epochs, batch_size=128, callbacks=[clock], verbose=0)
    return clock.times


def main(folder, cache, epochs):
    """Train in this process, and print its peak of memory."""
    times = seconds((ImageFolder(folder, cache=cache, progress=False),), int(epochs))
    print(json.dumps({"memory": peak_memory_mb(), "times": times}))


def in_a_process(folder, cache, epochs):
    code = "import sys; from datasets.test_many_pictures import main; main(*sys.argv[1:])"
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, sys.path)])
    command = [sys.executable, "-c", code, str(folder), str(cache), str(epochs)]
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


@pytest.mark.campaign
def test_many_pictures_in_bounded_memory_as_fast_as_an_array(tmp_path, capsys):
    folder, cache = make_pictures(tmp_path / "pictures", COUNT), tmp_path / "cache.npy"
    alone = in_a_process(folder, cache, 1)
    source = ImageFolder(folder, cache=cache)
    (x, y), _ = load_image_folder(folder, progress=False)
    ratios = []
    for _ in range(3):
        array, found = seconds((x, y), 1), seconds((source,), 1)
        ratios.append(array[0] / found[0])
    with capsys.disabled():
        print(f"{COUNT:,} pictures: {alone['memory']:.0f} MB, {COUNT / found[0]:,.0f} pictures/s, ", end="")
        print(f"{np.median(ratios):.3f} of the speed of an array")
    assert alone["memory"] < LIMIT_MB
