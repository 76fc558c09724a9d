"""Runs `minicnn train` in processes that come to harm, resumes them, and counts what was lost or different.

    python tests/runs/dying_runs.py --runs 500

A process starts with some of the descriptors 0 to 2 closed. Then it gets a signal at a random moment, or
finds the disk full from a random moment on, or for each file beyond a random size. Forked, the processes need
not import anything anew.
"""

import argparse
import faulthandler
import json
import os
import random
import resource
import signal
import sys
import tempfile
import threading
import time
from pathlib import Path

import safetensors.numpy  # noqa: F401  (here, that the children need not)
import threadpoolctl  # noqa: F401

sys.path.insert(0, str(Path(__file__).parents[1]))
from full_disk import fill_disk
from toy_data import write_folder

from minicnn.cli import main as minicnn
from minicnn.cli import train as train_command

LIVES = 4  # after so many harms a run is let be
PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGQUIT, signal.SIGPIPE]
RESULTS = "model.safetensors", "history.csv"
SECONDS = 60.0


def commands(folder, data):
    """Return the arguments of the command that begins or resumes a run."""
    if (folder / "config.json").exists():
        return ["train", "--resume", str(folder)]
    begin = ["train", "--dataset", str(data), "--epochs", "2", "--batch-size", "16", "--augment"]
    return [*begin, "--threads", "2", "--checkpoint-every", "1", "--out", str(folder)]


def fill_disk_later(size, seconds):
    """Let no file grow beyond a size, from a moment on."""
    timer = threading.Timer(seconds, fill_disk, (size,))
    timer.daemon = True
    timer.start()


def live(arguments, closed=(), size=None, full_after=0.0, number=0, patience=SECONDS, hangs=None):
    """Run a command in a process of its own; return whether it hung, and write its traceback into `hangs`."""
    child = os.fork()
    if child == 0:
        status = 99
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if hangs is not None:
                faulthandler.register(signal.SIGUSR2, hangs, all_threads=True)
            for descriptor in {0, 1, 2}:
                if descriptor in closed:
                    os.close(descriptor)
                else:
                    os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
            if size is not None:
                fill_disk_later(size, full_after)
            status = minicnn(arguments)
        finally:
            os._exit(status)
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return False
        time.sleep(0.005)
    told = f"{arguments}, closed {closed}, size {size} after {full_after}, signal {number} at {patience}"
    if not number:
        tell(hangs, child, told)
    os.kill(child, number or signal.SIGKILL)
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if os.waitpid(child, os.WNOHANG)[0]:
            return number == 0
        time.sleep(0.005)
    tell(hangs, child, told)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return True


def tell(hangs, child, text):
    """Write how a process hangs, where that is wanted; what it runs, it writes itself."""
    if hangs is not None:
        print(text, Path(f"/proc/{child}/status").read_text(), file=hangs, flush=True)
        os.kill(child, signal.SIGUSR2)
        time.sleep(1)


def one_run(folder, data, draw, seconds, hangs=None):
    """Let a run come to harm a few times, then to its end; return the numbers of harms and hangs."""
    harms = hung = 0
    for _ in range(LIVES):
        closed = [number for number in range(3) if draw.random() < 0.4]
        if draw.random() < 0.5:
            harm = {"number": draw.choice(SIGNALS), "patience": draw.uniform(0, seconds)}
        else:
            size = draw.choice([0, 1, 50, draw.randrange(1000), draw.randrange(800_000)])
            harm = {"size": size, "full_after": draw.uniform(0, seconds)}
        hung += live(commands(folder, data), closed, **harm, hangs=hangs)
        harms += 1
        if folder.is_dir() and not (folder / "config.json").exists():  # killed before the run began
            for path in folder.rglob("*"):
                path.is_dir() or path.unlink()
            for path in (*folder.iterdir(), folder):
                path.rmdir()
    hung += live(commands(folder, data), hangs=hangs)
    return harms, hung


def outcome(folder):
    """Return the files of a finished run."""
    if json.loads((folder / "result.json").read_text())["interrupted"]:
        raise FileNotFoundError("the run was not finished")
    return [(folder / name).read_bytes() for name in RESULTS]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the first of the runs, as they are numbered")
    parser.add_argument("--hangs", type=argparse.FileType("a"), help="pipe for tracebacks of what hangs")
    args = parser.parse_args()
    train_command.draw = lambda run, data, result: None  # pictures take longer than all the rest
    counts = {"runs": args.runs, "harms": 0, "hung": 0, "lost": 0, "different": 0}
    with tempfile.TemporaryDirectory(dir=PLACE) as place:
        data = write_folder(Path(place, "toy"), train=40, test=10)
        start = time.perf_counter()
        live(commands(Path(place, "whole"), data))
        seconds = time.perf_counter() - start
        expected = outcome(Path(place, "whole"))
        for run in range(args.first, args.first + args.runs):
            folder, draw = Path(place, str(run)), random.Random(args.seed * 1_000_003 + run)
            harms, hung = one_run(folder, data, draw, seconds, args.hangs)
            counts["harms"] += harms
            counts["hung"] += hung
            try:
                counts["different"] += outcome(folder) != expected
            except (OSError, ValueError) as error:
                counts["lost"] += 1
                print(f"run {run} is lost: {error}", file=sys.stderr)
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
