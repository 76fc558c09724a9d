"""MNIST, which comes with the package, and Fashion-MNIST, which is read from a folder.

Each load checks the SHA-256 of the published content, so results are comparable with published ones.
"""

import os
from pathlib import Path

from minicnn.datasets.folder import Split, find_file, load_folder

_MNIST_FOLDER = Path(__file__).parent / "mnist"
_MNIST = {
    "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
_FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")  # of Debian's package
_FASHION = {
    "train-images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "train-labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "t10k-images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "t10k-labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
}

FASHION_MNIST_CLASSES = (
    "T-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
)


def load_mnist() -> tuple[Split, Split]:
    """Load the MNIST database of handwritten digits, which is bundled: no network is needed.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        Images, uint8 (60000, 28, 28, 1) and (10000, 28, 28, 1), white on black, and their digits,
        uint8 (60000,) and (10000,).

    Raises
    ------
    FileFormatError
        If a bundled file differs from the published one.

    Examples
    --------
    >>> (x_train, y_train), (x_test, y_test) = load_mnist()
    >>> x_train.shape, y_train[:10].tolist()
    ((60000, 28, 28, 1), [5, 0, 4, 1, 9, 2, 1, 3, 1, 4])

    Notes
    -----
    By Yann LeCun, Corinna Cortes and Christopher J. C. Burges; its licence is in ``mnist/NOTICE.md``.
    """
    return load_folder(_MNIST_FOLDER, _MNIST)


def load_fashion_mnist(folder: str | os.PathLike[str] | None = None) -> tuple[Split, Split]:
    """Load Fashion-MNIST (Zalando Research, MIT licence): ten kinds of clothing, in MNIST's sizes.

    Parameters
    ----------
    folder : path, optional
        Folder of the four files, or of a subfolder ``fashion-mnist`` with them. By default, the folder in the
        environment variable ``MINICNN_DATA`` is searched in the same way, then that of Debian's package
        ``dataset-fashion-mnist``.

    Returns
    -------
    (x_train, y_train), (x_test, y_test)
        As `load_mnist`; the labels are 0 T-shirt, 1 trouser, 2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt,
        7 sneaker, 8 bag, 9 ankle boot.

    Raises
    ------
    FileNotFoundError
        If the files are not found; the message says how to get them.
    FileFormatError
        If a file differs from the published one.
    """
    given = (os.environ.get("MINICNN_DATA") or None) if folder is None else folder
    places = [Path(given) / "fashion-mnist", Path(given)] if given is not None else []
    if folder is None:
        places.append(_FASHION_FOLDER)
    for place in places:
        if find_file(place, "train-images"):
            return load_folder(place, _FASHION)
    raise FileNotFoundError(
        f"Fashion-MNIST was not found in {', '.join(map(str, places))}; install Debian's package "
        "`dataset-fashion-mnist`, or put the four .gz files of "
        "https://github.com/zalandoresearch/fashion-mnist into a folder and set MINICNN_DATA to it"
    )
