"""A copy of the page that any web server shows, without Python: `minicnn demo --export`.

The page is the same, but for the view of a network that learns. Its requests are answered in the browser
by the JavaScript in `page/`: onnxruntime-web computes the outputs of all layers, `page/gradient.js` their
gradients, and `page/whatif.js` what a window of the user's own or a network without some filters gives.
Where onnxruntime-web cannot be had, `page/forward.js` computes the outputs, too; of networks that are large
or have other layers, the copy then has recorded outputs of some test images. `rules`, `curves` and `views`
say how each layer computes a cell and what it sees, `weights` is the file of their arrays, `images` chooses
test images, `recording` writes what the layers computed for them, `runtime` finds onnxruntime-web, and
`files` has the contents of the copy.
"""

import os
from pathlib import Path

from minicnn.demo.export.files import copy_files
from minicnn.demo.export.runtime import PACKAGE, Runtime, fetch_runtime, read_runtime
from minicnn.demo.session import Session

__all__ = ["PACKAGE", "Runtime", "check_folder", "export_page", "fetch_runtime", "read_runtime"]


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Raise FileExistsError unless a folder is new or empty."""
    path = Path(folder)
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists():
        kind = "is not empty" if path.is_dir() else "is a file"
        raise FileExistsError(f"{path} {kind}: name a new folder")


def export_page(
    session: Session, folder: str | os.PathLike[str], runtime: Runtime | None = None
) -> dict[str, int]:
    """Write a static copy of the page into a new or empty folder; return the bytes of each file.

    Parameters
    ----------
    session : Session
        The network, and its test images.
    folder : path
        It is made if it does not exist.
    runtime : Runtime, optional
        Computes in the browser. Without it the page's own JavaScript does; if the network is large or has
        layers that it does not know, the copy shows recorded images, of which there must be some.

    Raises
    ------
    FileExistsError
        If the folder is not empty.
    ValueError
        If a layer cannot be computed in the browser, or there are no images to record.
    """
    check_folder(folder)
    files = copy_files(session, runtime)
    for name, data in files.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return {name: len(data) for name, data in files.items()}
