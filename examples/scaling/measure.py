"""Measure how much faster two ranks train LeNet-5 than one, each with one thread.

    python examples/scaling/measure.py                 about a minute
    python examples/scaling/measure.py --ranks 1,2,4 --rounds 20

Strong scaling: all ranks share batches of 128. Weak scaling: each rank has 128 images of its own in a step.
Jobs with different numbers of ranks take turns, and each is compared with the job of one rank in the same
round, which is fairer than seconds on a machine with other load. The table shows the medians of all rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

BATCH = 128
MPIEXEC = Path(sys.executable).with_name("mpiexec")


def measure_rank(batch_size: int, steps: int) -> None:
    """Train as one of the ranks; rank 0 prints the median seconds of a step, and of an `Allreduce` alone."""
    import numpy as np
    from mpi4py import MPI

    from minicnn import Adam, Callback, Trainer
    from minicnn.datasets import load_mnist
    from minicnn.models import lenet5

    class StepTimer(Callback):
        def __init__(self):
            self.times = []

        def on_batch_begin(self, step):
            self.times.append(time.perf_counter())

    comm, timer = MPI.COMM_WORLD, StepTimer()
    (x, y), _ = load_mnist()
    total = batch_size * steps
    rows = np.arange(total) % len(x)
    trainer = Trainer(lenet5().build((28, 28, 1), rng=0), Adam(), comm=comm, threads=1, callbacks=[timer])
    trainer.fit(x[rows], y[rows], batch_size=batch_size, verbose=0)
    gradients, seconds = np.zeros(61_706, np.float32), []
    for _ in range(200):
        start = time.perf_counter()
        comm.Allreduce(MPI.IN_PLACE, gradients)
        seconds.append(time.perf_counter() - start)
    if comm.rank == 0:
        step = statistics.median(b - a for a, b in zip(timer.times[5:], timer.times[6:], strict=False))
        print(json.dumps({"step": step, "allreduce": statistics.median(seconds)}))


def run(ranks: int, batch_size: int, steps: int) -> dict[str, float]:
    """Return the measurements of a job with `ranks` ranks."""
    job = [MPIEXEC, "-n", str(ranks), sys.executable, __file__, "--child", f"{batch_size},{steps}"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    streams = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
    result = subprocess.run(list(map(str, job)), env=environment, **streams)
    if result.returncode:
        raise RuntimeError(result.stderr)
    return json.loads(result.stdout)


def main(argv=None):
    """Run the jobs in turns, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--ranks", default="1,2", help="separated by commas, 1 the first (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--steps", type=int, default=100, help="of each job (default: %(default)s)")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    if args.child:
        measure_rank(*map(int, args.child.split(",")))
        return
    counts = [int(text) for text in args.ranks.split(",")]
    found = {(kind, count): [] for kind in ("strong", "weak") for count in counts}
    for _ in range(args.rounds):
        for kind, count in found:
            found[kind, count].append(run(count, BATCH * count if kind == "weak" else BATCH, args.steps))
    print(f"{'':>14} {'step, ms':>9} {'allreduce, ms':>13} {'speed-up':>9} {'efficiency':>10}")
    for (kind, count), results in found.items():
        work = count if kind == "weak" else 1
        pairs = zip(found[kind, counts[0]], results, strict=True)
        speed = statistics.median(work * one["step"] / own["step"] for one, own in pairs)
        step, allreduce = (
            1e3 * statistics.median(r[name] for r in results) for name in ("step", "allreduce")
        )
        title = f"{kind}, {count} rank{'s' if count > 1 else ''}"
        print(f"{title:>14} {step:>9.2f} {allreduce:>13.3f} {speed:>9.2f} {speed / count:>10.0%}", flush=True)


if __name__ == "__main__":
    main()
