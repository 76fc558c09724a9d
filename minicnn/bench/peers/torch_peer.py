"""PyTorch: eager, with its fused Adam."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

FORMATS = {"channels_first": torch.contiguous_format, "channels_last": torch.channels_last}


class OwnReLU(nn.Module):
    """ReLU as a user writes it."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the positive part."""
        return torch.clamp(x, min=0)


def own_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return softmax cross-entropy, as a user writes it."""
    shifted = logits - logits.max(dim=1, keepdim=True).values
    own = shifted.gather(1, labels[:, None])[:, 0]
    return (shifted.exp().sum(dim=1).log() - own).mean()


def _conv(shape: Sequence[int], filters: int, size: int, padding: str) -> nn.Module:
    return nn.Conv2d(shape[-1], filters, size, padding=padding)


MAKE: dict[str, Callable] = {
    "conv": _conv,
    "depthwise": lambda shape, channels, size: nn.Conv2d(
        channels, channels, size, padding="same", groups=channels
    ),
    "batch_norm": lambda shape: nn.BatchNorm2d(shape[-1], eps=1e-3, momentum=0.01),
    "group_norm": lambda shape, groups: nn.GroupNorm(groups, shape[-1], eps=1e-3),
    "relu": lambda shape: nn.ReLU(),
    "own_relu": lambda shape: OwnReLU(),
    "max_pool": lambda shape: nn.MaxPool2d(2),
    "flatten": lambda shape: nn.Flatten(),
    "dense": lambda shape, units: nn.Linear(shape[-1], units),
}
WEIGHTED = ("conv", "depthwise", "dense")


class Peer:
    """A net with the given weights, and Adam, in one of PyTorch's memory layouts."""

    LAYOUTS = ("channels_first", "channels_last")

    def __init__(
        self, net: Mapping[str, Any], weights: Sequence[np.ndarray], threads: int, layout: str
    ) -> None:
        torch.set_num_threads(threads)
        self.layout = FORMATS[layout]
        described = net["layers"]
        made = [MAKE[layer["kind"]](layer["input_shape"], *layer["settings"]) for layer in described]
        given, flattened = iter(weights), None
        with torch.no_grad():
            for module, layer in zip(made, described, strict=True):
                if layer["kind"] == "flatten":
                    flattened = layer["input_shape"]
                if layer["kind"] in WEIGHTED:
                    kernel, bias = next(given), next(given)
                    module.weight.copy_(torch.from_numpy(_converted(kernel, flattened)))
                    module.bias.copy_(torch.from_numpy(bias))
                    flattened = None if layer["kind"] == "dense" else flattened
        self.net = nn.Sequential(*made).to(memory_format=self.layout)
        self.loss = own_loss if net["own_loss"] else cross_entropy
        self.adam = torch.optim.Adam(self.net.parameters(), lr=1e-3, eps=1e-7, fused=True)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Return floats in [0, 1]."""
        return np.divide(images, 255, dtype=np.float32)

    def epoch(self, x: np.ndarray, y: np.ndarray, batch_size: int, order: np.ndarray | None) -> None:
        """Train for one epoch, in this order."""
        images, labels = self._images(x), torch.from_numpy(y.astype(np.int64))
        self.net.train()
        permutation = torch.randperm(len(x)) if order is None else torch.from_numpy(order)
        for batch in permutation.split(batch_size):
            loss = self.loss(self.net(images[batch]), labels[batch])
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the logits."""
        self.net.eval()
        with torch.inference_mode():
            return torch.cat([self.net(part) for part in self._images(x).split(256)]).numpy()

    def _images(self, x: np.ndarray) -> Any:
        return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=self.layout)

    def call_one(self, x: np.ndarray) -> Callable:
        """Return a function that runs the forward pass."""
        image = self._images(x)
        self.net.eval()

        def run() -> Any:
            with torch.inference_mode():
                return self.net(image)

        return run

    predict_one = call_one  # PyTorch has no `predict`

    def conv(
        self, x: np.ndarray, filters: int, kernel_size: int, strides: int, pad: int
    ) -> dict[str, Callable]:
        """Return functions that run forward and backward, one for each memory layout."""
        settings = filters, kernel_size, strides, pad
        return {name: _conv_step(x, *settings, layout) for name, layout in FORMATS.items()}


def _conv_step(
    x: np.ndarray, filters: int, kernel_size: int, strides: int, pad: int, layout: Any
) -> Callable:
    conv = nn.Conv2d(x.shape[-1], filters, kernel_size, strides, pad).to(memory_format=layout)
    images = torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout).requires_grad_()
    dy = torch.ones_like(conv(images)).contiguous(memory_format=layout)

    def run() -> None:
        images.grad = None
        conv.zero_grad()
        conv(images).backward(dy)

    return run


def _converted(weight: np.ndarray, flattened: Sequence[int] | None) -> np.ndarray:
    """Return a minicnn kernel in PyTorch's layout: outputs first, flattened images channels first."""
    if weight.ndim == 4:
        return np.ascontiguousarray(weight.transpose(3, 2, 0, 1))
    if flattened:
        units = weight.shape[1]
        weight = weight.reshape(*flattened, units).transpose(2, 0, 1, 3).reshape(-1, units)
    return np.ascontiguousarray(weight.T)
