"""Estimate the time of a training step on many ranks, and from how many ranks on more do not pay.

    python examples/scaling/cost_model.py --ranks 1,2,8,64,512 --model lenet5 --bandwidth 10Gbit
    python examples/scaling/cost_model.py --model alexnet --bandwidth 100Gbit --latency 2 --measure

A step computes the gradients, sums them over the ranks, updates the weights and reads the next images. The
times of computing and updating are measured (the constants below, or this machine with --measure); the other
two follow from bytes, bandwidth and latency. As in minicnn, nothing overlaps.
"""

import argparse
import math
import time
from dataclasses import dataclass

import numpy as np

from minicnn import SGD, Callback, Trainer
from minicnn.models import alexnet, lenet5

MODELS = {"lenet5": (lenet5, (28, 28, 1), (16, 128)), "alexnet": (alexnet, (227, 227, 3), (1, 4))}
COPYING = 8e9  # bytes a second, of memory: gradients are copied into the message and back, and added
UNITS = {"Mbit": 1e6 / 8, "Gbit": 1e9 / 8}


@dataclass(frozen=True)
class Costs:
    """Seconds of one rank with one thread: for each step, for each image in it, and for the update."""

    step: float
    image: float
    update: float
    parameters: int
    image_bytes: int


# From --measure on a virtual machine with two cores, with one BLAS thread. Processor seconds do not count the
# time that other processes take.
MEASURED = {
    "lenet5": Costs(0.91e-3, 0.111e-3, 0.064e-3, 61_706, 28 * 28),
    "alexnet": Costs(0.35, 0.084, 0.106, 60_965_224, 227 * 227 * 3),
}


class StepTimer(Callback):
    """Records the processor seconds of each step."""

    def __init__(self):
        self.start, self.seconds = 0.0, []

    def on_batch_begin(self, step):
        """Start."""
        self.start = time.thread_time()

    def on_batch_end(self, step, logs):
        """Record the time since the start."""
        self.seconds.append(time.thread_time() - self.start)


def measure(name: str, repeats: int | None = None) -> Costs:
    """Return the costs on this machine, each the least of several runs."""
    make, shape, sizes = MODELS[name]
    repeats = repeats or (60 if name == "lenet5" else 6)
    model = make().build(shape, rng=0)
    optimizer, parameters = SGD(lr=1e-6, momentum=0.9), model.parameters()
    trainer = Trainer(model, optimizer, threads=1, metrics={})
    rng, seconds = np.random.default_rng(0), []
    for size in sizes:
        batch, timer = (
            (rng.integers(0, 256, (size, *shape), np.uint8), rng.integers(0, 10, size)),
            StepTimer(),
        )
        trainer.fit([batch] * (repeats + 1), callbacks=[timer], verbose=0)
        seconds.append(min(timer.seconds[1:]))  # the first step allocates memory
    image = (seconds[1] - seconds[0]) / (sizes[1] - sizes[0])
    updates = []
    for _ in range(repeats):
        start = time.thread_time()
        optimizer.step(parameters)
        updates.append(time.thread_time() - start)
    step = max(seconds[0] - sizes[0] * image - min(updates), 0.0)
    return Costs(step, image, min(updates), sum(p.size for p in parameters), math.prod(shape))


def allreduce_seconds(size: float, ranks: int, bandwidth: float, latency: float) -> float:
    """Return the time to sum `size` bytes over all ranks, by the faster of two algorithms, as MPI chooses.

    In the ring algorithm each rank sends 2 (ranks - 1) parts of size / ranks: best for long messages. With
    recursive doubling, it sends the whole message log2(ranks) times: best for short ones. (R. Thakur,
    R. Rabenseifner, W. Gropp, "Optimization of Collective Communication Operations in MPICH", 2005.)

    >>> f"{allreduce_seconds(8e6, 4, 1e9, 1e-5) * 1e3:.2f} ms"  # 6 parts of 2 MB, and 6 times 10 us
    '12.06 ms'
    >>> f"{allreduce_seconds(8, 4, 1e9, 1e-5) * 1e6:.1f} us"  # twice 10 us
    '20.0 us'
    """
    ring = 2 * (ranks - 1) * (latency + size / ranks / bandwidth)
    doubling = math.ceil(math.log2(ranks)) * (latency + size / bandwidth)
    return min(ring, doubling)


def step_seconds(
    costs: Costs, ranks: int, batch: float, bandwidth: float, latency: float, disk: float
) -> dict[str, float]:
    """Return the seconds of each part of a step, for a batch of `batch` images shared by all ranks.

    The ranks wait for the one with the largest shard; each machine reads its own images.
    """
    shard, size = math.ceil(batch / ranks), 4 * costs.parameters
    message = allreduce_seconds(size, ranks, bandwidth, latency) + 4 * size / COPYING if ranks > 1 else 0.0
    return {
        "compute": costs.step + shard * costs.image,
        "update": costs.update,
        "allreduce": message,
        "read": shard * costs.image_bytes / disk,
    }


def table(costs: Costs, ranks: list[int], batch: int, weak: bool, network: tuple[float, float, float]) -> str:
    """Return a table with a row for each number of ranks: milliseconds, images per second, speed-up."""
    lines = [
        f"{'ranks':>6} {'compute':>9} {'update':>8} {'allreduce':>9} {'read':>7} {'step, ms':>9}"
        f" {'images/s':>9} {'speed-up':>8} {'efficiency':>10}"
    ]
    alone = batch / sum(step_seconds(costs, 1, batch, *network).values())
    for count in ranks:
        total = batch * count if weak else batch
        parts = step_seconds(costs, count, total, *network)
        seconds = sum(parts.values())
        speed = total / seconds / alone
        numbers = [1e3 * parts[name] for name in ("compute", "update", "allreduce", "read")]
        lines.append(
            "{:>6} {:>9.2f} {:>8.2f} {:>9.2f} {:>7.2f}".format(count, *numbers)
            + f" {1e3 * seconds:>9.2f} {total / seconds:>9,.0f} {speed:>8.1f} {speed / count:>10.0%}"
        )
    return "\n".join(lines)


def last_that_pays(costs: Costs, batch: int, network: tuple[float, float, float]) -> int:
    """Return the largest power of two of ranks that is at least 1.5 times as fast as half of them."""
    ranks = 1
    while ranks < 1 << 20:
        half, whole = (sum(step_seconds(costs, n, batch, *network).values()) for n in (ranks, 2 * ranks))
        if half / whole < 1.5:
            break
        ranks *= 2
    return ranks


def bandwidth(text: str) -> float:
    """Return a bandwidth in bytes per second: "10Gbit" is 1.25e9."""
    for unit, factor in UNITS.items():
        if text.endswith(unit):
            return float(text.removesuffix(unit)) * factor
    raise argparse.ArgumentTypeError(f"a bandwidth must end in {' or '.join(UNITS)}, got {text!r}")


def main(argv=None):
    """Print the tables of strong and weak scaling, and the number of ranks up to which doubling pays."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ranks", default="1,2,8,64,512", help="separated by commas (default: %(default)s)")
    parser.add_argument("--model", choices=MODELS, default="lenet5")
    parser.add_argument("--batch-size", type=int, default=128, help="images (default: %(default)s)")
    parser.add_argument("--bandwidth", type=bandwidth, default="10Gbit", help="default: %(default)s")
    parser.add_argument(
        "--latency", type=float, default=30.0, help="microseconds (default: %(default)s, TCP)"
    )
    parser.add_argument("--disk", type=float, default=500.0, help="MB/s for each rank (default: %(default)s)")
    parser.add_argument("--measure", action="store_true", help="measure this machine first")
    args = parser.parse_args(argv)
    costs = measure(args.model) if args.measure else MEASURED[args.model]
    ranks = [int(text) for text in args.ranks.split(",")]
    network = (args.bandwidth, args.latency * 1e-6, args.disk * 1e6)
    print(
        f"{args.model}: {costs.parameters:,} parameters, {4 * costs.parameters / 1e6:.2f} MB of gradients; "
        f"a step takes {1e3 * costs.step:.2f} ms, {1e6 * costs.image:,.0f} us an image, "
        f"and {1e3 * costs.update:.2f} ms for the update"
    )
    print(f"\nthe same batch of {args.batch_size}, shared (strong scaling)")
    print(table(costs, ranks, args.batch_size, False, network))
    print(f"\n{args.batch_size} images for each rank (weak scaling)")
    print(table(costs, ranks, args.batch_size, True, network))
    most = last_that_pays(costs, args.batch_size, network)
    print(f"\nfor a batch of {args.batch_size}, doubling the ranks pays (1.5 times the speed) up to {most}")


if __name__ == "__main__":
    main()
