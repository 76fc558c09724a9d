"""Trains a small net on several ranks, of which one is killed, starts it again, and counts what was lost.

    python tests/training/dying_ranks.py --runs 200

A rank dies by SIGKILL at a random moment, by SIGKILL in a random step, or, the first, while it writes a
file. `mpiexec` then has to end, and the same command line has to go on and to come to the same end.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLACE = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
SPIN_SECONDS = 300  # seconds, after which a job counts as hung; on an idle machine it takes about one


def fit(folder, every, doom):
    """Train as one rank; the first leaves what came out in the file `outcome`."""
    import numpy as np
    from dying import Doom, distort
    from mpi4py import MPI

    from minicnn import (
        Adam,
        Conv2D,
        CSVLogger,
        Dense,
        Dropout,
        EarlyStopping,
        Flatten,
        ReLU,
        Sequential,
        Trainer,
    )

    comm = MPI.COMM_WORLD
    (folder / f"new-{comm.rank}").write_text(str(os.getpid()))
    (folder / f"new-{comm.rank}").rename(folder / f"pid-{comm.rank}")  # no reader finds half of it
    callbacks = [EarlyStopping(patience=2), CSVLogger(folder / "log.csv")]
    if doom and doom[0] == comm.rank:
        callbacks.append(Doom(*doom[1:]))
        callbacks[-1].every_rank = True
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 200, (121, 6, 6, 1)).astype(np.uint8), rng.integers(0, 3, 121)
    layers = [Conv2D(4, 3), ReLU(), Flatten(), Dropout(0.3), Dense(3)]
    model = Sequential(layers).build((6, 6, 1), rng=1)
    trainer = Trainer(model, Adam(), seed=2, augment=distort, comm=comm)
    history = trainer.fit(
        *(x, y, 3, 15),
        validation_data=(x[:40], y[:40]),
        callbacks=callbacks,
        checkpoint=folder / "checkpoints",
        checkpoint_every=every,
    )
    if comm.rank == 0:
        weights = [weight.tobytes().hex() for weight in model.get_weights()]
        (folder / "outcome.tmp").write_text(repr([weights, history, (folder / "log.csv").read_text()]))
        (folder / "outcome.tmp").rename(folder / "outcome")


def live(folder, ranks, every, doom=None, victim=None, patience=0.0):
    """Run a job, kill one of its ranks after so many seconds, and return its exit status."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    child = [sys.executable, __file__, "--child", json.dumps([str(folder), every, doom])]
    log = (folder / "log").open("w")
    streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": log}
    job = subprocess.Popen([mpiexec, "-n", str(ranks), *child], **streams, start_new_session=True)
    try:
        if victim is not None:
            time.sleep(patience)
            pid = folder / f"pid-{victim}"
            if pid.exists() and job.poll() is None:
                with contextlib.suppress(ProcessLookupError):  # it came to its end just now
                    os.kill(int(pid.read_text()), signal.SIGKILL)
        return job.wait(SPIN_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(job.pid, signal.SIGKILL)
        raise
    finally:
        log.close()
        for path in folder.glob("pid-*"):
            path.unlink()


def one_run(folder, ranks, draw, seconds):
    """Let one job die, and then come to its end; return whether it died."""
    every, victim = draw.choice([1, 2, 5, None]), draw.randrange(ranks)
    how = draw.choice(["time", "step", "bytes"])
    if how == "time":
        status = live(folder, ranks, every, None, victim, draw.uniform(seconds / 3, seconds))
    elif how == "step":
        status = live(folder, ranks, every, [victim, draw.randint(1, 18), None])
    else:
        status = live(folder, ranks, every, [0, draw.randint(1, 18), draw.randrange(10_000)])
    if not (folder / "outcome").exists():
        live(folder, ranks, every)
    return status != 0


def sweep():
    """Remove the shared memory that dead ranks have left: what is a second old, and in nobody's use."""
    if not any(Path("/dev/shm").glob("mpich_shm_*")):
        return
    time.sleep(1)
    before, used = time.time() - 1, ""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            used += maps.read_text()
    for path in Path("/dev/shm").glob("mpich_shm_*"):
        with contextlib.suppress(OSError):
            if path.name not in used and path.stat().st_mtime < before:
                path.unlink()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        folder, every, doom = json.loads(args.child)
        fit(Path(folder), every, doom)
        return
    counts = {"runs": args.runs, "deaths": 0, "hung": 0, "lost": 0, "different": 0}
    with tempfile.TemporaryDirectory(dir=PLACE) as folder:
        start = time.perf_counter()
        live(Path(folder), args.ranks, None)
        seconds = time.perf_counter() - start
        expected = Path(folder, "outcome").read_text()
    for run in range(args.runs):
        draw = random.Random(args.seed * 1_000_003 + run)
        with tempfile.TemporaryDirectory(dir=PLACE) as folder:
            try:
                counts["deaths"] += one_run(Path(folder), args.ranks, draw, seconds)
                counts["different"] += Path(folder, "outcome").read_text() != expected
            except (subprocess.TimeoutExpired, FileNotFoundError) as error:
                counts["hung" if isinstance(error, subprocess.TimeoutExpired) else "lost"] += 1
                print(f"run {run}: {error!r}\n{Path(folder, 'log').read_text()}", file=sys.stderr)
    sweep()
    print(json.dumps(counts))


if __name__ == "__main__":
    main()
