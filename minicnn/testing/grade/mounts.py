"""A root folder that shows Python and the system's libraries only, for the process of a learner's file.

`sandbox.py` loads it, with the standard library only. What the system calls do is in `man 2 mount`,
`man 2 mount_setattr` and `man 2 pivot_root`.
"""

import ctypes
import glob
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

_NOSUID_NODEV, _READ_ONLY, _BIND, _RECURSIVE, _DETACH = 2 | 4, 1, 4096, 16384, 2  # mount(2), umount2(2)
_MOUNT_SETATTR, _AT_RECURSIVE = 442, 0x8000  # a system call, the same number on all machines
_SYSTEM = (
    *("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store"),
    *("/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d", "/etc/alternatives", "/etc/localtime"),
    "/sys/devices/system/cpu",
)
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LIBRARIES = ("/usr/lib/python3*/dist-packages", "/usr/local/lib/python3*/*-packages")
_NAMES = ("site-packages", "dist-packages")


def visible(numpy: str) -> list[str]:
    """Return what Python and NumPy need, outer folders first."""
    paths = [
        sys.prefix,
        sys.base_prefix,
        *os.environ.get("LD_LIBRARY_PATH", "").split(":"),
        *libraries(numpy),
    ]
    needed = {os.path.realpath(path) for path in paths if os.path.isabs(path) and os.path.exists(path)} - {
        "/"
    }
    found = [path for path in _SYSTEM if os.path.exists(path)] + sorted(needed, key=len)
    return [path for i, path in enumerate(found) if not any(_is_in(path, outer) for outer in found[:i])]


def _is_in(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder and not os.path.islink(folder)


def libraries(numpy: str) -> list[str]:
    """Return the folders of libraries, NumPy's at first; of clones that are installed to be edited, none."""
    found = [numpy, *(path for path in sys.path if path.endswith(_NAMES))]
    return list(dict.fromkeys([*found, *(path for pattern in _LIBRARIES for path in glob.glob(pattern))]))


def hidden(settings: dict[str, Any]) -> list[str]:
    """Return the folders that give the answer: this package, copies of it, and others that have it."""
    names = [os.path.basename(settings["hidden"]), *settings["answers"]]
    places = [f"{folder}/{name}" for folder in libraries(settings["libraries"]) for name in names]
    return [os.path.realpath(path) for path in (settings["hidden"], *places) if os.path.isdir(path)]


def enter(settings: dict[str, Any]) -> str:
    """Make the new root the root of this process; return the folder that can be written.

    In order: the file system in memory, what Python needs, what is hidden in it, devices, and the copy of the
    learner's folder.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    root, copy = str(Path(settings["scratch"], "root")), str(Path(settings["scratch"], "folder"))
    concealed = hidden(settings)

    def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
        found = [text.encode() for text in (source, target, kind)]
        check(libc.mount(*found, ctypes.c_ulong(flags), options.encode()))

    def read_only(target: str, scope: int) -> None:
        attributes = (ctypes.c_uint64 * 4)(_READ_ONLY, 0, 0, 0)
        check(libc.syscall(_MOUNT_SETATTR, -100, target.encode(), scope, ctypes.byref(attributes), 32))

    def show(path: str) -> None:
        target = root + path
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(path):
            os.symlink(os.readlink(path), target)
            return
        os.makedirs(target, exist_ok=True) if os.path.isdir(path) else Path(target).touch()
        mount(path, target, "", _BIND | _RECURSIVE)
        if not path.startswith("/dev/"):
            read_only(target, _AT_RECURSIVE)

    os.mkdir(root)
    mount("tmpfs", root, "tmpfs", _NOSUID_NODEV, "size=1m,mode=755")
    os.mkdir(f"{root}/tmp")
    mount("tmpfs", f"{root}/tmp", "tmpfs", _NOSUID_NODEV, f"size={settings['disk']},mode=755")
    shutil.copytree(copy, f"{root}/tmp/folder")
    for path in [*visible(settings["libraries"]), *(f"/dev/{name}" for name in _DEVICES)]:
        show(path)
    for path in concealed:
        if os.path.isdir(root + path):
            mount("tmpfs", root + path, "tmpfs", _NOSUID_NODEV | _READ_ONLY)
    os.mkdir(f"{root}/proc")
    try:
        mount("proc", f"{root}/proc", "proc", _NOSUID_NODEV)  # of these processes only
    except OSError:  # in some containers
        show("/proc")
    read_only(root, 0)
    os.chdir(root)
    check(libc.pivot_root(b".", b"."))
    check(libc.umount2(b".", _DETACH))
    os.chdir("/")
    return "/tmp"


def check(code: int) -> None:
    """Raise OSError if a system call has failed."""
    if code < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def writable_by_all(folder: str) -> None:
    """Let a process without the rights of root write into a folder and what is below."""
    for where, _, names in os.walk(folder):
        os.chmod(where, 0o777)
        for name in names:
            with suppress(OSError):
                os.chmod(os.path.join(where, name), 0o666)
