"""What must come before NumPy's import, if this process is the command `minicnn`."""

import os
import signal
import sys
import threading


def prepare_command() -> None:
    """Fill the standard descriptors, and let Ctrl-C end the process at once until `main` runs."""
    fill_descriptors()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def fill_descriptors() -> None:
    """Open the null device for each of stdin, stdout and stderr that was closed when the process started.

    Otherwise the next file that is opened gets the number of a closed one, and messages go into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free, this one
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def restore_interrupt() -> None:
    """Let Ctrl-C raise KeyboardInterrupt again."""
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def is_command() -> bool:
    """Return whether this process was started as `minicnn` or `python -m minicnn`."""
    script = os.path.basename(sys.argv[0]) if sys.argv else ""
    if script == "-m":  # while `python -m` looks for the module
        arguments = sys.orig_argv
        return "-m" in arguments and arguments[arguments.index("-m") + 1].split(".")[0] == "minicnn"
    return script in ("minicnn", "minicnn.exe")


if is_command():
    prepare_command()
