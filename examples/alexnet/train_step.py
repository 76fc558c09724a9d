"""Time a training step of AlexNet and weigh its memory, in minicnn and, where it is installed, in PyTorch.

    python examples/alexnet/train_step.py --threads 2

Both train the same net, on the same number of random images, with the paper's optimizer. Each runs in a
process of its own, in turns; of all steps the fastest counts, since whatever else the machine does only ever
adds to it.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable

OPTIMIZER = {"lr": 0.01, "momentum": 0.9, "weight_decay": 5e-4}


def minicnn_step(batch: int, threads: int) -> Callable[[], object]:
    """Return a function that makes one step with minicnn."""
    import numpy as np

    from minicnn import SGD, Trainer
    from minicnn.models import alexnet

    model = alexnet().build((227, 227, 3), rng=0)
    trainer = Trainer(model, SGD(**OPTIMIZER, decoupled=False), threads=threads)
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((batch, 227, 227, 3), np.float32), rng.integers(0, 1000, batch)
    return lambda: trainer.fit(x, y, batch_size=batch, verbose=0)


def pytorch_step(batch: int, threads: int) -> Callable[[], object]:
    """Return a function that makes one step with PyTorch, eagerly, as it does by default."""
    import torch
    from torch import nn

    torch.set_num_threads(threads)

    def norm() -> nn.Module:
        return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)  # its alpha is of the mean

    model = nn.Sequential(
        *(nn.Conv2d(3, 96, 11, 4), nn.ReLU(), norm(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(96, 256, 5, padding=2, groups=2), nn.ReLU(), norm(), nn.MaxPool2d(3, 2)),
        *(nn.Conv2d(256, 384, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(384, 384, 3, padding=1, groups=2), nn.ReLU()),
        *(nn.Conv2d(384, 256, 3, padding=1, groups=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Flatten()),
        *(nn.Linear(9216, 4096), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Linear(4096, 4096), nn.ReLU(), nn.Dropout(0.5), nn.Linear(4096, 1000)),
    )
    optimizer = torch.optim.SGD(model.parameters(), **OPTIMIZER)
    x, y = torch.randn(batch, 3, 227, 227), torch.randint(1000, (batch,))

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


STEPS = {"minicnn": minicnn_step, "pytorch": pytorch_step}
MODULES = {"minicnn": "minicnn", "pytorch": "torch"}


def measure(name: str, batch: int, threads: int, steps: int) -> None:
    """Print, as JSON, the fastest step by the clock and by the processor's time, and the peak memory."""
    from minicnn.profiling import peak_memory_mb

    step = STEPS[name](batch, threads)
    times = []
    for _ in range(steps + 1):  # the first takes longer: it gets the memory
        start = time.perf_counter(), time.process_time()
        step()
        times.append((time.perf_counter() - start[0], time.process_time() - start[1]))
    clock, processor = (min(column) for column in zip(*times[1:], strict=True))
    print(json.dumps({"clock": clock, "processor": processor, "memory": peak_memory_mb()}))


def main(argv: list[str] | None = None) -> None:
    """Run the processes, and print a line for each framework."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=16, help="images in a step")
    parser.add_argument("--threads", type=int, default=1, help="threads of each framework")
    parser.add_argument("--steps", type=int, default=5, help="timed steps of a process")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each framework")
    parser.add_argument("--one", choices=STEPS, help=argparse.SUPPRESS)  # what a process is started with
    args = parser.parse_args(argv)
    if args.one:
        measure(args.one, args.batch, args.threads, args.steps)
        return
    settings = [f"--{name}={getattr(args, name)}" for name in ("batch", "threads", "steps")]
    names = [name for name in STEPS if importlib.util.find_spec(MODULES[name])]
    found: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for _ in range(args.rounds):
        for name in names:
            command = [sys.executable, __file__, f"--one={name}", *settings]
            output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
            found[name].append(json.loads(output))
    print(f"a step of {args.batch} images, {args.threads} thread(s)")
    print(f"{'':10}{'clock':>9}{'CPU time':>11}{'peak memory':>14}")
    for name, results in found.items():
        clock, processor = (min(result[key] for result in results) for key in ("clock", "processor"))
        peak = max(result["memory"] for result in results)
        print(f"{name:10}{clock:7.2f} s{processor:9.2f} s{peak:11,.0f} MB")


if __name__ == "__main__":
    main()
