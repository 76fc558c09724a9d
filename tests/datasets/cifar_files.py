"""The files of CIFAR-10, with few images of noise."""

import numpy as np

RNG = np.random.default_rng(0)


def write_cifar(folder, images=4):
    """Write files of few images each; return all pixels (6, N, 3, 32, 32) and labels (6, N)."""
    folder.mkdir(exist_ok=True)
    labels = RNG.integers(0, 10, (6, images), dtype=np.uint8)
    pixels = RNG.integers(0, 256, (6, images, 3, 32, 32), dtype=np.uint8)
    for number, name in enumerate([*(f"data_batch_{k}.bin" for k in range(1, 6)), "test_batch.bin"]):
        with (folder / name).open("wb") as file:
            for label, image in zip(labels[number], pixels[number], strict=True):
                file.write(bytes([label]) + image.tobytes())
    return pixels, labels
