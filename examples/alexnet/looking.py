"""What a trained net looks at: its first kernels, and the images that its last hidden layer finds alike."""

import numpy as np
from lab import BATCH_SIZE, Run, make_trainer, split
from matplotlib.axes import Axes

from minicnn import Sequential
from minicnn.plots.style import INK, MUTED, TEAL, TEXT, WINE

QUERIES = 1000  # test images whose nearest training image is looked for
SHOWN = 6  # neighbours in the picture, as in the paper's Figure 4


def study(run: Run) -> dict:
    """Train, and return the first kernels, and for test images the nearest training images in two spaces.

    "hidden" is the output of the last hidden layer, "pixels" the image itself; the distance is Euclidean. For
    each, the share is that of the test images, in per cent, whose nearest training image has the same label,
    and the distance is the mean of that to the nearest, in pixels.
    """
    (x, y), (x_test, y_test) = split(run)
    trainer = make_trainer(run)
    trainer.fit(x, y, epochs=run.epochs, batch_size=BATCH_SIZE, verbose=0)
    queries, truth = x_test[:QUERIES], y_test[:QUERIES]
    found = {"kernels": trainer.model[0].kernel.value[:, :, 0].copy(), "queries": queries, "truth": truth}
    hidden = Sequential(list(trainer.model)[:-1])  # all but the last layer, with the same weights
    pixels = [images.reshape(len(images), -1).astype(np.float32) / 255 for images in (queries, x)]
    vectors = {"hidden": [_in_batches(hidden, images) for images in (queries, x)], "pixels": pixels}
    for space, (asked, known) in vectors.items():
        nearest = nearest_rows(asked, known)
        first = nearest[:, 0]
        found[space] = {
            "share": round(100 * float((y[first] == truth).mean()), 2),
            "distance": round(float(np.linalg.norm(pixels[0] - pixels[1][first], axis=1).mean()), 3),
            "images": x[nearest],
            "labels": y[nearest],
        }
    return found


def _in_batches(net: Sequential, images: np.ndarray) -> np.ndarray:
    net.eval()
    parts = [images[start : start + 256] for start in range(0, len(images), 256)]
    return np.concatenate([net.forward(part.astype(np.float32) / 255) for part in parts])


def nearest_rows(queries: np.ndarray, rows: np.ndarray, count: int = SHOWN) -> np.ndarray:
    """Return for each query the numbers of the nearest rows, the nearest first: (N, count).

    >>> nearest_rows(np.array([[0.0], [9.0]]), np.array([[8.0], [1.0], [3.0]]), count=2)
    array([[1, 2],
           [0, 2]])
    """
    squares = (rows**2).sum(axis=1) - 2 * queries @ rows.T  # the query's own square changes no order
    return np.argsort(squares, axis=1, kind="stable")[:, :count]


def draw_kernels(ax: Axes, kernels: np.ndarray, columns: int = 8) -> None:
    """Draw kernels (size, size, filters) side by side, each to its own scale, with zero grey."""
    size, _, filters = kernels.shape
    pitch = size + 1
    sheet = np.ones((-(-filters // columns) * pitch - 1, columns * pitch - 1))
    for i in range(filters):
        top, left = i // columns * pitch, i % columns * pitch
        kernel = kernels[:, :, i]
        sheet[top : top + size, left : left + size] = 0.5 + 0.5 * kernel / np.abs(kernel).max()
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1)
    ax.set_axis_off()


def draw_neighbours(ax: Axes, found: dict, numbers: list[int]) -> None:
    """Draw a row for each test image: itself, its neighbours by the hidden layer, and those by the pixels."""
    pitch, size = 1.12, 1.0
    lefts = 1.8, 2.2 + SHOWN * pitch
    for row, number in enumerate(numbers):
        truth = found["truth"][number]
        places = [(0.0, found["queries"][number], None)]
        for offset, space in zip(lefts, ("hidden", "pixels"), strict=True):
            near = found[space]
            places += [
                (offset + k * pitch, near["images"][number, k], near["labels"][number, k] == truth)
                for k in range(SHOWN)
            ]
        for left, image, right in places:
            extent = (left, left + size, row * pitch + size, row * pitch)
            ax.imshow(255 - image[..., 0], cmap="gray", vmin=0, vmax=255, extent=extent)
            colour = INK if right is None else TEAL if right else WINE
            corners = [[left, left + size, left + size, left, left], [0, 0, size, size, 0]]
            ax.plot(corners[0], np.array(corners[1]) + row * pitch, color=colour, linewidth=1.2)
    look = {"fontsize": TEXT, "color": INK, "va": "bottom"}
    heads = "test image", "nearest by the last hidden layer", "nearest by pixels"
    for left, text in zip((0, *lefts), heads, strict=True):
        ax.text(left, -0.12, text, **look)
    ax.text(
        lefts[0], len(numbers) * pitch + 0.3, "green: same label; purple: another", fontsize=TEXT, color=MUTED
    )
    ax.set_xlim(-0.05, lefts[1] + SHOWN * pitch)
    ax.set_ylim(len(numbers) * pitch + 0.35, -0.6)
    ax.set_aspect("equal")
    ax.set_axis_off()
