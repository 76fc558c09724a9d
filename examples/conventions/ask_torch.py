"""What the table says of PyTorch: (claim, what it computes, what we do or the table says)."""

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from ours import our_steps
from torch import nn
from torch.nn import functional as F  # noqa: N812

from minicnn import SGD, AdamW
from minicnn.ops import conv2d, local_response_norm

VERSIONS = f"PyTorch {torch.__version__}"
ROW = torch.arange(1.0, 7.0).reshape(1, 1, 1, 6)
ZEROS = torch.zeros(1, 1, 2, 2)


def claims() -> Iterator[tuple[str, Any, Any]]:
    """Yield all of them."""
    torch.manual_seed(0)
    warnings.simplefilter("ignore")  # of copies that an even kernel costs, and of what `losses` does
    yield from windows()
    yield from slopes()
    yield from optimizers()
    yield from layers()
    yield from losses()


def windows() -> Iterator[tuple[str, Any, Any]]:
    """Ask for padding, order of axes, and defaults of windows."""
    for size in (4, 2):
        theirs, ours = same_kernels(size)
        yield (
            f'"same" of {size} cells, stride 1, is ours; no flip',
            F.conv2d(ROW, theirs, padding="same").ravel(),
            padded(ours, "same", 1),
        )
    try:
        nn.Conv2d(1, 1, 3, stride=2, padding="same")
    except ValueError as error:
        yield (
            '"same" with a stride is refused',
            str(error),
            "padding='same' is not supported for strided convolutions",
        )
    theirs, ours = same_kernels(3)
    both_sides = F.conv2d(ROW, theirs, padding=(0, 1), stride=2).ravel()
    yield "padding=1, stride 2: one cell on both sides", both_sides, padded(ours, ((0, 0), (1, 1)), 2)
    yield "so it is not TensorFlow's", bool((both_sides.numpy() == padded(ours, "same", 2)).any()), False
    yield (
        "F.pad after: it is",
        F.conv2d(F.pad(ROW, (0, 1)), theirs, stride=2).ravel(),
        padded(ours, "same", 2),
    )
    yield "F.pad is left, right, top, bottom", F.pad(ZEROS, (3, 4, 1, 2)).shape[2:], (5, 9)
    yield "padded cells never win a maximum", F.max_pool2d(ZEROS - 1, 3, 1, 1), -1
    yield "padded cells count in a mean", F.avg_pool2d(ZEROS + 1, 3, 1, 1), 4 / 9
    yield "by default", F.avg_pool2d(ZEROS + 1, 3, 1, 1, count_include_pad=False), 1
    yield "pooling steps by its window", F.max_pool2d(torch.zeros(1, 1, 9, 9), 3).shape[2], 3
    yield "kernels are (out, in, h, w)", nn.Conv2d(3, 8, (5, 4)).weight.shape, (8, 3, 5, 4)
    yield "dense kernels are (out, in)", nn.Linear(3, 8).weight.shape, (8, 3)


def slopes() -> Iterator[tuple[str, Any, Any]]:
    """Ask for slopes where there is none."""
    yield "max pooling: first of the tied", slope(lambda x: F.max_pool2d(x, 2), ZEROS).ravel(), (1, 0, 0, 0)
    yield "amax: shared", slope(lambda x: x.amax((2, 3)), ZEROS), 0.25
    zero = torch.zeros(())
    yield "relu at 0: slope 0", slope(F.relu, zero), 0
    yield "clamp(x, min=0) at 0: slope 1", slope(lambda x: torch.clamp(x, min=0), zero), 1
    yield "maximum(x, 0) at 0: slope 1/2", slope(lambda x: torch.maximum(x, torch.zeros(())), zero), 0.5
    yield "LeakyReLU: 0.01", nn.LeakyReLU().negative_slope, 0.01
    yield "PReLU: 0.25 for all", nn.PReLU().weight.detach(), (0.25,)
    yield "GELU: with erf", F.gelu(torch.ones(())), 0.8413447


def optimizers() -> Iterator[tuple[str, Any, Any]]:
    """Ask for steps of one weight, which begins at 1."""
    optim = torch.optim
    for t, value in enumerate(steps(lambda p: optim.Adam(p), (1e-8,) * 3), 1):
        yield f"Adam: eps 1e-8 after the correction, step {t}", (1 - value) * 1e6, 500 * t
    yield (
        "Adam's decay is in the gradient",
        steps(lambda p: optim.Adam(p, 0.1, weight_decay=0.1), (0.0,)),
        0.9,
    )
    yield "AdamW: decay 0.01", optim.AdamW([nn.Parameter(torch.ones(1))]).defaults["weight_decay"], 0.01
    theirs = steps(lambda p: optim.AdamW(p, 0.1, weight_decay=0.1, eps=1e-7), (1.0, 2.0, -1.0))
    yield "AdamW but for eps is ours", theirs, our_steps(AdamW(0.1, weight_decay=0.1), (1.0, 2.0, -1.0))
    rates = (0.1, 0.01, 0.01)
    yield (
        "momentum has no rate in it",
        steps(lambda p: optim.SGD(p, momentum=0.9), (1.0, 0.0, 0.0), rates),
        (0.9, 0.891, 0.8829),
    )
    grads = (1.0, -2.0, 0.5, 3.0)
    for nesterov in (False, True):
        arguments = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1, "nesterov": nesterov}
        theirs = steps(lambda p, chosen=arguments: optim.SGD(p, **chosen), grads)
        yield (
            f"SGD at a constant rate is ours, decoupled=False, nesterov={nesterov}",
            theirs,
            our_steps(SGD(**arguments, decoupled=False), grads),
        )
    expected = 1 - 0.1 / (0.1**0.5 + 0.5)
    yield (
        "RMSprop: eps outside the root",
        steps(lambda p: optim.RMSprop(p, 0.1, alpha=0.9, eps=0.5), (1.0,)),
        expected,
    )
    defaults = optim.RMSprop([nn.Parameter(torch.ones(1))]).defaults
    yield "RMSprop: lr, alpha, eps", [defaults[name] for name in ("lr", "alpha", "eps")], (0.01, 0.99, 1e-8)


def layers() -> Iterator[tuple[str, Any, Any]]:
    """Ask for normalisation, first weights and dropout."""
    norm = nn.BatchNorm2d(1)
    norm(torch.tensor([1.0, 3.0]).reshape(2, 1, 1, 1))
    yield "BatchNorm: momentum, eps", (norm.momentum, norm.eps), (0.1, 1e-5)
    yield (
        "BatchNorm: running mean, unbiased variance",
        (norm.running_mean[0], norm.running_var[0]),
        (0.2, 1.1),
    )
    yield "LayerNorm: eps", nn.LayerNorm(3).eps, 1e-5
    x = np.random.default_rng(0).normal(size=(2, 3, 3, 12)).astype(np.float32)
    theirs = F.local_response_norm(torch.from_numpy(x).permute(0, 3, 1, 2), 5, alpha=5 * 0.1, k=2.0)
    norm = nn.LocalResponseNorm(5)
    yield "local response: k, alpha, beta", (norm.k, norm.alpha, norm.beta), (1, 1e-4, 0.75)
    yield "local response: alpha of the mean", theirs.permute(0, 2, 3, 1), local_response_norm(x, alpha=0.1)
    for layer, fan_in in ((nn.Linear(300, 1000), 300), (nn.Conv2d(30, 1000, 3), 270)):
        for name, weight in layer.named_parameters():
            largest = round(weight.abs().max().item() * fan_in**0.5, 1)
            yield f"{name} of {type(layer).__name__}: up to 1 / sqrt(fan_in)", largest, 1
    normal = nn.init.kaiming_normal_(torch.empty(300, 300))
    yield "kaiming_normal_ is not cut", bool(normal.abs().max() > 3 * normal.std()), True
    yield "Dropout is inverted", nn.Dropout(0.25)(torch.ones(1000)).unique(), (0, 4 / 3)
    yield "a module begins in training mode", nn.Dropout().training, True


def losses() -> Iterator[tuple[str, Any, Any]]:
    """Ask what is averaged, and over what."""
    logits, labels = torch.tensor([[2.0, 1, -1], [0, 0, 3]]), torch.tensor([0, 1])
    each = F.cross_entropy(logits, labels, reduction="none")
    yield (
        "cross_entropy: of logits, mean over the batch",
        F.cross_entropy(logits, labels),
        -np.log([0.70538451, 0.04527850]).mean(),
    )
    weighted = F.cross_entropy(logits, labels, weight=torch.tensor([1.0, 3.0, 1.0]))
    yield "class weights: divided by their sum", weighted, (each * torch.tensor([1, 3])).sum() / 4
    error = F.mse_loss(torch.arange(3.0)[:, None], torch.arange(3.0))
    yield "squared error of (3, 1) and (3,): broadcast, with a warning", error, 4 / 3


def same_kernels(size: int) -> tuple[torch.Tensor, np.ndarray]:
    """Return powers of ten as a kernel, theirs and ours: a sum's digits tell which cells were seen."""
    powers = 10.0 ** np.arange(size, dtype=np.float32)
    return torch.from_numpy(powers).reshape(1, 1, 1, size), powers.reshape(1, size, 1, 1)


def padded(kernel: np.ndarray, padding: Any, stride: int) -> np.ndarray:
    """Return our convolution of the row."""
    return conv2d(ROW.numpy().transpose(0, 2, 3, 1), kernel, None, (1, stride), padding).ravel()


def slope(function: Callable, x: torch.Tensor) -> torch.Tensor:
    """Return the derivative that PyTorch finds."""
    x = x.clone().requires_grad_()
    function(x).sum().backward()
    return x.grad


def steps(make: Callable, grads: tuple, rates: tuple | None = None) -> np.ndarray:
    """Return a weight after each step of an optimizer of theirs."""
    weight, values = nn.Parameter(torch.tensor(1.0, dtype=torch.float64)), []
    optimizer = make([weight])
    for number, grad in enumerate(grads):
        if rates:
            optimizer.param_groups[0]["lr"] = rates[number]
        weight.grad = torch.tensor(grad, dtype=torch.float64)
        optimizer.step()
        values.append(weight.item())
    return np.array(values)
