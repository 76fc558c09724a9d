"""Filters of Linux that a process puts on itself: which system calls it may make, and which files it may use.

`sandbox.py` loads it, with the standard library only. What the numbers mean is in `man 2 seccomp` and
`man 7 landlock`. Neither needs the rights of root, or user namespaces.
"""

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Iterable, Iterator

_CLONE_THREAD, _CLONE3, _IO_URING_SETUP = 0x10000, 435, 425
# Architecture, the number of clone, those of fork, vfork, execve, execveat, and of socket.
_MACHINES = {
    "x86_64": (0xC000003E, 56, (57, 58, 59, 322), 41),
    "aarch64": (0xC00000B7, 220, (221, 281), 198),
}
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # system calls of Landlock
_READ, _LIST = 0b1101, 0b1000  # rights: execute, read, list
_NOT_BEFORE = {13: 2, 14: 3, 15: 5}  # rights, and the version of Landlock that has them
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_ON_FILES = 0b1100_0000_0000_0111  # those rights that a file can have, and not only a folder
_NET, _SCOPED = (4, 0b11), (6, 0b11)  # version, and rights: TCP; abstract sockets and signals to others


def no_processes(network: bool) -> bool:
    """Refuse further processes and programs, threads excepted, and new sockets; return whether it worked."""
    if sys.platform != "linux" or platform.machine() not in _MACHINES:
        return False
    architecture, clone, refused, socket = _MACHINES[platform.machine()]
    load, equal, above, bits, end = 0x20, 0x15, 0x35, 0x45, 0x06  # instructions: linux/bpf_common.h
    allow, refuse, unknown = 0x7FFF0000, 0x00050001, 0x00050026  # results: allowed, EPERM, ENOSYS
    program = [(load, 0, 0, 4), (equal, 1, 0, architecture), (end, 0, 0, refuse), (load, 0, 0, 0)]
    program += [(above, 0, 1, 1 << 30), (end, 0, 0, refuse)]  # the numbers of another calling convention
    for number in (*refused, _IO_URING_SETUP, *([] if network else [socket])):
        program += [(equal, 0, 1, number), (end, 0, 0, refuse)]
    # The arguments of clone3 cannot be seen. Where it is unknown, threads are made by clone.
    program += [(equal, 0, 1, _CLONE3), (end, 0, 0, unknown)]
    program += [(equal, 0, 3, clone), (load, 0, 0, 16), (bits, 1, 0, _CLONE_THREAD), (end, 0, 0, refuse)]
    program += [(end, 0, 0, allow)]
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program)
    buffer = ctypes.create_string_buffer(code)
    filters = struct.pack("HP", len(program), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    return libc.prctl(22, 2, filters, 0, 0) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER


def landlock_version() -> int:
    """Return the version of Landlock, 0 if this system has none."""
    if sys.platform != "linux":
        return 0
    return max(ctypes.CDLL(None).syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1), 0)


def _granted(paths: Iterable[str], hidden: list[str]) -> Iterator[tuple[str, int]]:
    """Yield what may be read: of a folder around a hidden one the names, and its other contents."""
    for path in paths:
        real = os.path.realpath(path)
        if real in hidden:
            continue
        if any(each.startswith(f"{real}/") for each in hidden):
            yield path, _LIST
            yield from _granted((os.path.join(path, name) for name in os.listdir(path)), hidden)
        else:
            yield path, _READ


def only_files(readable: Iterable[str], writable: str, hidden: list[str]) -> bool:
    """Refuse files and folders but these, by Landlock, and TCP and signals where it can; return if it did."""
    version = landlock_version()
    if not version:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    rights = sum(1 << bit for bit in range(16) if version >= _NOT_BEFORE.get(bit, 1))
    more = [mask if version >= since else 0 for since, mask in (_NET, _SCOPED)]
    attributes = struct.pack("QQQ", rights, *more)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(8 * (1 + sum(map(bool, more)))), 0)
    granted = [*_granted(readable, hidden), *((path, _READ | 0b10) for path in _DEVICES), (writable, rights)]
    for path, allowed in granted:
        if not os.path.exists(path):
            continue
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        kind = rights if os.path.isdir(path) else rights & _ON_FILES
        libc.syscall(_ADD_RULE, ruleset, 1, struct.pack("=Qi", allowed & kind, place), 0)
        os.close(place)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    done = libc.syscall(_RESTRICT_SELF, ruleset, 0)
    os.close(ruleset)
    return done == 0
