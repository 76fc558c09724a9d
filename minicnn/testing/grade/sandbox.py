"""Confine this process, then run a script in it: the launcher of the processes that run a learner's code.

It runs as `python -I sandbox.py SETTINGS SCRIPT [LIBRARY...]` and uses the standard library only. What the
system calls below do is in `man 2 unshare` and `man 7 user_namespaces`.
"""

import contextlib
import ctypes
import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

NOBODY = 65534
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000  # flags of unshare(2)


def confine(settings: dict[str, Any]) -> str:
    """Apply the limits and what the settings say of files and processes; return the folder to write into."""
    mounts, filters = (_run(str(Path(__file__).with_name(name))) for name in ("mounts.py", "filters.py"))
    sys.addaudithook(_hide(settings["hidden"], settings["answers"], mounts["hidden"](settings)))
    scratch, namespaces = settings["scratch"], settings["namespaces"]
    if namespaces:
        scratch = mounts["enter"](settings)
    os.chdir(Path(scratch, "folder"))
    os.environ |= {"HOME": scratch, "TMPDIR": scratch}
    _limit(settings)
    if namespaces:
        mounts["writable_by_all"](f"{scratch}/folder")
        os.chmod(scratch, 0o777)
        mounts["check"](ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_MOUNTS))
    elif os.name == "posix" and os.getuid() == 0:
        _become_nobody(scratch)
    if settings["landlock"]:
        needed = [*mounts["visible"](settings["libraries"]), "/proc/cpuinfo", "/proc/meminfo", "/proc/self"]
        if not filters["only_files"](needed, scratch, mounts["hidden"](settings)):
            raise OSError("Landlock does not work")
    if namespaces or settings["landlock"]:
        filters["no_processes"](network=namespaces)  # there, it is empty
    return scratch


def _hide(hidden: str, answers: list[str], folders: list[str]) -> Any:
    """Return an audit hook, which cannot be removed, that refuses imports and files that give the answer."""
    inside = tuple(f"{folder}/" for folder in folders)
    package = Path(hidden).name

    def hook(event: str, values: tuple) -> None:
        top = str(values[0]).partition(".")[0] if event == "import" else ""
        if top == package:
            raise ImportError(f"{package} cannot be imported while it grades")
        if top in answers:
            raise ImportError(f"{top} cannot be imported while this is graded, since it has the answer")
        is_path = event == "open" and isinstance(values[0], str | bytes | os.PathLike)
        if is_path and os.path.realpath(os.fsdecode(values[0])).startswith(inside):
            raise PermissionError("a file that has the answer cannot be opened while this is graded")

    return hook


def _limit(settings: dict[str, Any]) -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    limits = {
        "RLIMIT_AS": settings["memory"],
        "RLIMIT_FSIZE": settings["file_size"],
        "RLIMIT_NOFILE": settings["open_files"],
        "RLIMIT_NPROC": settings["threads"],  # 0: no further processes, and no threads
        "RLIMIT_CORE": 0,
    }
    if settings["threads"] and not settings["namespaces"] and os.getuid() != 0:
        del limits["RLIMIT_NPROC"]  # it would count all processes of this user
    for name, value in limits.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):  # not known, or a lower limit exists
            resource.setrlimit(getattr(resource, name), (value, value))


def _become_nobody(scratch: str) -> None:
    """Give up the rights of root, if Python can be read without them."""
    if all(os.stat(parent).st_mode & stat.S_IXOTH for parent in Path(os.__file__).resolve().parents):
        shutil.chown(scratch, NOBODY, NOBODY)
        for folder, folders, files in os.walk(scratch):
            for name in (*folders, *files):
                os.chown(os.path.join(folder, name), NOBODY, NOBODY)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def main(text: str, *scripts: str) -> None:
    """Confine this process, and run `main(folder)` of a script, which gets the names of the others."""
    settings = json.loads(text)
    if settings["libraries"] not in sys.path:
        sys.path.append(settings["libraries"])  # of NumPy, where `python -I` does not search
    script, *libraries = map(_run, scripts)  # imports NumPy, while all files are in their places
    script["main"](str(Path(confine(settings), "folder")), *libraries)


def _run(script: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "child"}
    exec(compile(Path(script).read_text(encoding="utf-8"), script, "exec"), namespace)
    return namespace


if __name__ == "__main__":
    main(*sys.argv[1:])
