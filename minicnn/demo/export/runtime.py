"""onnxruntime-web, which runs ONNX models in browsers: from a folder, a package file, or npm."""

import gzip
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"  # that the tests use
_SCRIPT, _WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"
_PLACES = ("", "dist", f"{PACKAGE}/dist", f"node_modules/{PACKAGE}/dist")  # in a folder that is given
_SECONDS = 600.0  # for npm to download 33 MB


@dataclass(frozen=True)
class Runtime:
    """The script and the WebAssembly of onnxruntime-web, the latter packed by gzip."""

    version: str
    script: bytes
    wasm: bytes


def read_runtime(path: str | os.PathLike[str]) -> Runtime:
    """Return the runtime in a folder, such as node_modules, or in the .tgz that `npm pack` writes.

    Raises
    ------
    FileNotFoundError, ValueError
        If it is not there.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no such file or folder: {path}")
    found = _in_archive(path) if path.is_file() else _in_folder(path)
    if len(found) < 2:
        raise ValueError(
            f"{path} has no {PACKAGE}: there must be {_SCRIPT} and {_WASM}, which `npm pack {PACKAGE}` brings"
        )
    version = re.search(rb"v(\d+\.\d+\.\d+)", found[_SCRIPT][:400])
    wasm = gzip.compress(found[_WASM], mtime=0)
    return Runtime(version[1].decode() if version else "of unknown version", found[_SCRIPT], wasm)


def _in_archive(path: Path) -> dict[str, bytes]:
    try:
        with tarfile.open(path) as archive:
            files = ((Path(member.name).name, archive.extractfile(member)) for member in archive)
            return {name: file.read() for name, file in files if file and name in (_SCRIPT, _WASM)}
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ValueError(f"{path} cannot be read as a package of npm: {error}") from error


def _in_folder(path: Path) -> dict[str, bytes]:
    for place in _PLACES:
        files = [path / place / name for name in (_SCRIPT, _WASM)]
        if all(file.is_file() for file in files):
            return {file.name: file.read_bytes() for file in files}
    return {}


def fetch_runtime() -> Runtime:
    """Return the runtime that npm downloads, or has in its cache.

    Raises
    ------
    RuntimeError
        If there is no npm, or it fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise RuntimeError("npm is not installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [npm, "pack", "--silent", f"{PACKAGE}@{VERSION}"]
        try:
            subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=True)
        except (subprocess.SubprocessError, OSError) as error:
            why = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
            raise RuntimeError(f"npm cannot get {PACKAGE} {VERSION}: {why[0] if why else error}") from error
        return read_runtime(next(Path(folder).glob("*.tgz")))
