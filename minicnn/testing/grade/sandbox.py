"""Confine this process, then run a script in it: the launcher of the processes that run a learner's code.

It runs as `python -I sandbox.py SETTINGS SCRIPT [LIBRARY...]` and uses the standard library only. What the
system calls below do is in `man 2 mount`, `man 2 mount_setattr`, `man 2 seccomp` and `man 7 user_namespaces`.
"""

import contextlib
import ctypes
import json
import os
import platform
import shutil
import stat
import struct
import sys
from pathlib import Path
from typing import Any

NOBODY = 65534
_NOSUID_NODEV, _READ_ONLY, _BIND = 2 | 4, 1, 4096  # flags of mount(2)
_NEW_USER, _NEW_MOUNTS = 0x10000000, 0x00020000  # flags of unshare(2)
_MOUNT_SETATTR, _RECURSIVE = 442, 0x8000  # a system call, the same number on all machines
_CLONE_THREAD, _CLONE3 = 0x10000, 435
_MACHINES = {  # for seccomp: architecture, the number of clone, and those of fork and vfork
    "x86_64": (0xC000003E, 56, (57, 58)),
    "aarch64": (0xC00000B7, 220, ()),
}


def confine(settings: dict[str, Any]) -> str:
    """Apply the limits and, in new namespaces, the mounts; return the folder that can be written."""
    sys.addaudithook(_hide(settings["hidden"]))
    scratch = settings["scratch"]
    if settings["namespaces"]:
        scratch = _mount(scratch, settings["hidden"], settings["disk"])
    os.chdir(Path(scratch, "folder"))
    os.environ |= {"HOME": scratch, "TMPDIR": scratch}
    _limit(settings)
    if settings["namespaces"] or os.getuid() == 0:
        _drop_rights(scratch, settings["namespaces"])
    if settings["threads"]:
        _threads_only()
    return scratch


def _hide(hidden: str) -> Any:
    """Return an audit hook, which cannot be removed, that refuses imports and files of the package."""
    package = Path(hidden).name

    def hook(event: str, values: tuple) -> None:
        if event == "import" and str(values[0]).partition(".")[0] == package:
            raise ImportError(f"{package} cannot be imported while it grades")
        is_path = event == "open" and isinstance(values[0], str | bytes | os.PathLike)
        if is_path and os.fsdecode(values[0]).startswith(hidden):
            raise PermissionError(f"files of {package} cannot be opened while it grades")

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


def _mount(scratch: str, hidden: str, disk: int) -> str:
    """Make all files read-only but those of a small file system in memory, and hide the package."""
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
        found = [text.encode() for text in (source, target, kind)]
        _check(libc.mount(*found, ctypes.c_ulong(flags), options.encode()))

    def set_read_only(target: str, on: bool, scope: int) -> None:
        attributes = (ctypes.c_uint64 * 4)(*((_READ_ONLY, 0) if on else (0, _READ_ONLY)), 0, 0)
        code = libc.syscall(_MOUNT_SETATTR, -100, target.encode(), scope, ctypes.byref(attributes), 32)
        _check(code)

    place = str(Path(scratch, "disk"))
    os.mkdir(place)
    mount("tmpfs", place, "tmpfs", _NOSUID_NODEV, f"size={disk},mode=755")
    shutil.copytree(Path(scratch, "folder"), Path(place, "folder"))
    set_read_only("/", True, _RECURSIVE)
    mount("tmpfs", hidden, "tmpfs", _NOSUID_NODEV | _READ_ONLY)
    needed = [os.path.realpath(path) for path in (sys.prefix, sys.base_prefix, *sys.path)]
    if not any(path.startswith("/run/") for path in needed):
        mount("tmpfs", "/run", "tmpfs", _NOSUID_NODEV | _READ_ONLY)  # sockets of services
    if not any(path.startswith("/tmp/") for path in needed):
        mount(place, "/tmp", "", _BIND)
        place = "/tmp"
    set_read_only(place, False, 0)
    return place


def _drop_rights(scratch: str, namespaces: bool) -> None:
    """Give up the rights of root, by which a process could undo its mounts."""
    if namespaces:
        for folder, _, files in os.walk(scratch):
            for path in (folder, *(os.path.join(folder, name) for name in files)):
                os.chmod(path, 0o777 if stat.S_ISDIR(os.stat(path).st_mode) else 0o666)
        _check(ctypes.CDLL(None, use_errno=True).unshare(_NEW_USER | _NEW_MOUNTS))
    elif all(os.stat(parent).st_mode & stat.S_IXOTH for parent in Path(os.__file__).resolve().parents):
        shutil.chown(scratch, NOBODY, NOBODY)
        for folder, folders, files in os.walk(scratch):
            for name in (*folders, *files):
                os.chown(os.path.join(folder, name), NOBODY, NOBODY)
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def _threads_only() -> None:
    """Refuse further processes, where the limit of processes has to allow threads."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return
    architecture, clone, forks = _MACHINES[platform.machine()]
    load, equal, above, bits, end = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions: linux/bpf_common.h
    allow, refuse, unknown = 0x7FFF0000, 0x00050001, 0x00050026  # results: allowed, EPERM, ENOSYS
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (end, 0, 0, refuse), (load, 0, 0, 0)]
    program += [(above, 0, 1, 1 << 30), (end, 0, 0, refuse)]  # the numbers of another calling convention
    for number in forks:
        program += [(equal, 0, 1, number), (end, 0, 0, refuse)]
    # The arguments of clone3 cannot be seen. Where it is unknown, threads are made by clone.
    program += [(equal, 0, 1, _CLONE3), (end, 0, 0, unknown)]
    program += [(equal, 0, 3, clone), (load, 0, 0, 16), (bits, 1, 0, _CLONE_THREAD), (end, 0, 0, refuse)]
    program += [(end, 0, 0, allow)]
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    filters = struct.pack("HP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    with contextlib.suppress(OSError):  # a system without these filters
        _check(libc.prctl(38, 1, 0, 0, 0))  # PR_SET_NO_NEW_PRIVS
        _check(libc.prctl(22, 2, filters, 0, 0))  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def _check(code: int) -> None:
    if code != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


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
