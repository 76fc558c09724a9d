"""The benchmarks, their cases, and the frameworks that take part."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from minicnn.bench.nets import NETS, build
from minicnn.profiling.layers import training_macs

# The packages of each framework, and how to install them.
PEERS: dict[str, tuple[tuple[str, ...], str]] = {
    "minicnn": (("minicnn", "numpy"), "pip install minicnn-numpy"),
    "keras": (("keras", "tensorflow"), "pip install 'minicnn-numpy[tensorflow]'"),
    "torch": (("torch", "numpy"), "pip install 'minicnn-numpy[bench]'"),
    "jax": (("jax", "numpy"), "pip install jax"),
    "tinynn": (("tinynn", "numpy"), "pip install tinynn"),
    "dezero": (
        ("dezero", "numpy", "matplotlib"),
        "pip install dezero matplotlib 'numpy<1.24', in a virtual environment (--python dezero=PATH)",
    ),
}
TRAIN_ONLY = ("tinynn", "dezero")  # in NumPy, and slow: they take part in short trainings only

BENCHMARKS = {
    "epoch": "one epoch of training LeNet-5",
    "nets": "one epoch of other nets: 3x3 convolutions on color pictures, layers of one's own (batch 64)",
    "inference": "prediction for 10,000 images, and for one",
    "cold-start": "from process start to 98 % test accuracy, and to two epochs (batch 64)",
    "conv": "one convolution, forward and backward, shapes of known networks, batch 8",
    "growth": "one 3x3 convolution, forward and backward, of growing size",
    "memory": "peak memory of one epoch of training, imports included (batch 128)",
    "size": "installed size",
    "threads": "one core and several cores",
}

# Height and width, input channels, filters, kernel size, stride, padding.
CONVS = {
    "AlexNet 1": (227, 3, 96, 11, 4, 0),
    "AlexNet 2": (27, 96, 256, 5, 1, 2),
    "AlexNet 3": (13, 256, 384, 3, 1, 1),
    "AlexNet 4": (13, 384, 384, 3, 1, 1),
    "VGG 1_1": (224, 3, 64, 3, 1, 1),
    "VGG 1_2": (224, 64, 64, 3, 1, 1),
    "VGG 2_2": (112, 128, 128, 3, 1, 1),
    "VGG 4_2": (28, 512, 512, 3, 1, 1),
    "ResNet stem": (224, 3, 64, 7, 2, 3),
    "ResNet 2": (56, 64, 64, 3, 1, 1),
    "ResNet 3, stride 2": (56, 128, 128, 3, 2, 1),
    "ResNet 4, 1x1": (14, 1024, 256, 1, 1, 0),
}
GROWTH = {"batch": (2, 8, 32, 128), "channels": (8, 32, 128, 512), "side": (8, 16, 32, 64, 128)}
BATCH = 8  # images in the convolution benchmarks
IMAGES = 60_000  # training images


@dataclass(frozen=True)
class Case:
    """A row of the result: a task that each of `peers` runs once per round."""

    benchmark: str
    name: str
    task: dict[str, Any]
    peers: tuple[str, ...]
    threads: int
    seconds: float  # estimated, for one framework on two cores
    unit: str = "s"
    measure: str = "reply"  # "wall": the time since the start of a new process; "memory": its peak memory
    macs: int = 0


class Plan:
    """The cases of each benchmark: `cases[benchmark]()` yields them.

    Parameters
    ----------
    peers : sequence of str
        The frameworks that take part.
    threads : int
        Cores for each framework.
    limit : int, optional
        For a trial: maximum number of images; for convolutions also of rows, columns and channels.
    """

    def __init__(self, peers: Sequence[str], threads: int, limit: int | None = None) -> None:
        self.peers, self.threads, self.limit = tuple(peers), threads, limit
        self.full_peers = tuple(peer for peer in peers if peer not in TRAIN_ONLY)
        self.images = min(IMAGES, limit or IMAGES)
        self.seconds = 0.25 if limit is None else 0.02  # for which short calls are repeated, at least
        self.cases: dict[str, Callable[[], Iterator[Case]]] = {
            "epoch": self._epochs,
            "nets": self._nets,
            "inference": self._inference,
            "cold-start": self._cold_start,
            "conv": self._convs,
            "growth": self._growth,
            "memory": self._memory,
            "size": self._size,
            "threads": self._threads,
        }

    def _epochs(self) -> Iterator[Case]:
        for batch_size in (32, 128, 512):
            yield self._epoch("epoch", f"batch {batch_size}", batch_size, self.threads, self.images)
        # The other NumPy frameworks would need half a minute for all images.
        few = min(self.images, IMAGES // 10)
        yield replace(
            self._epoch("epoch", f"{few:,} images, batch 64", 64, self.threads, few), peers=self.peers
        )

    def _nets(self) -> Iterator[Case]:
        for net in NETS:
            yield self._epoch("nets", NETS[net].title, 64, self.threads, self.images, net)

    def _epoch(
        self, benchmark: str, name: str, batch_size: int, threads: int, images: int, net: str = "lenet5"
    ) -> Case:
        images = min(images, NETS[net].images)
        macs = images * training_macs(build(net))
        task = {"do": "epoch", "batch_size": batch_size, "images": images, "net": net}
        seconds = 1 + (1.5 + 50 / batch_size) * images / IMAGES + macs / 5e10
        return Case(benchmark, name, task, self.full_peers, threads, seconds, macs=macs)

    def _inference(self) -> Iterator[Case]:
        for net in ("lenet5", "color", "color-batch-norm"):
            count = 10_000 if net == "lenet5" else NETS[net].images  # fewer in a trial
            tasks: dict[str, dict[str, Any]] = {f"{count:,} images": {"do": "predict"}}
            tasks |= {f"one image, by {how}": {"do": "one", "how": how} for how in ("predict", "call")}
            for name, task in tasks.items():
                title = name if net == "lenet5" else f"{NETS[net].title}: {name}"
                task |= {"seconds": self.seconds, "net": net}
                yield Case("inference", title, task, self.full_peers, self.threads, 1)

    def _cold_start(self) -> Iterator[Case]:
        # A trial on few images does not reach 98 %. The first epoch ends near 98 %, so that chance decides
        # whether a second one is needed; two epochs are the same work for all.
        target = 0.98 if self.images == IMAGES else 0.0
        yield self._training("cold-start", "to 98 %", 64, "s", "wall", target=target, min_epochs=1)
        yield self._training("cold-start", "two epochs", 64, "s", "wall", target=0.0, min_epochs=2)

    def _memory(self) -> Iterator[Case]:
        yield self._training("memory", "LeNet-5", 128, "MB", "memory", target=0.0, min_epochs=1)

    def _training(
        self, benchmark: str, name: str, batch_size: int, unit: str, measure: str, **until: float
    ) -> Case:
        task = {"do": "train", "batch_size": batch_size} | until
        seconds = 3 + 6 * until["min_epochs"] * self.images / IMAGES
        return Case(benchmark, name, task, self.full_peers, self.threads, seconds, unit, measure)

    def _size(self) -> Iterator[Case]:
        yield Case("size", "installed", {"do": "size"}, self.peers, self.threads, 1, "MB")

    def _convs(self) -> Iterator[Case]:
        for name in CONVS:
            yield self._known_conv("conv", name, self.threads)

    def _growth(self) -> Iterator[Case]:
        for axis, sizes in GROWTH.items():
            for size in sizes:
                n, side, c = (size if axis == name else 32 for name in ("batch", "side", "channels"))
                yield self._conv("growth", f"{axis} {size}", self.threads, n, side, c, c, 3, 1, 1)

    def _threads(self) -> Iterator[Case]:
        for threads in sorted({1, min(2, self.threads), max(self.threads // 2, 1), self.threads}):
            cores = f"{threads} core{'s' * (threads > 1)}"
            yield self._epoch("threads", f"epoch, batch 128, {cores}", 128, threads, self.images)
            yield replace(self._known_conv("threads", "VGG 2_2", threads), name=f"VGG 2_2, {cores}")

    def _known_conv(self, benchmark: str, name: str, threads: int) -> Case:
        return self._conv(benchmark, name, threads, BATCH, *CONVS[name])

    def _conv(
        self, benchmark: str, name: str, threads: int, n: int, side: int, c_in: int, *rest: int
    ) -> Case:
        filters, kernel_size, strides, pad = rest
        if self.limit is not None:
            n, side, c_in, filters = (min(size, self.limit) for size in (n, side, c_in, filters))
        out = (side + 2 * pad - kernel_size) // strides + 1
        macs = 3 * n * out * out * filters * c_in * kernel_size**2  # forward, dx and dkernel
        task = {"do": "conv", "seconds": self.seconds, "shape": (n, side, side, c_in)}
        task |= {"filters": filters, "kernel_size": kernel_size, "strides": strides, "pad": pad}
        return Case(benchmark, name, task, self.full_peers, threads, 0.6 + macs / 2e10, macs=macs)
