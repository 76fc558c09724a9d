"""PyTorch: eager, with its fused Adam."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy


class Peer:
    """LeNet-5 with the given weights, and Adam."""

    def __init__(self, weights: Sequence[np.ndarray], threads: int) -> None:
        torch.set_num_threads(threads)
        convs = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
        convs += [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)]
        dense = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
        self.net = nn.Sequential(*convs, nn.Flatten(), *dense)
        with torch.no_grad():
            for parameter, weight in zip(self.net.parameters(), weights, strict=True):
                parameter.copy_(torch.from_numpy(_converted(weight)))
        self.adam = torch.optim.Adam(self.net.parameters(), lr=1e-3, eps=1e-7, fused=True)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Return floats in [0, 1]."""
        return np.divide(images, 255, dtype=np.float32)

    def epoch(self, x: np.ndarray, y: np.ndarray, batch_size: int, order: np.ndarray | None) -> None:
        """Train for one epoch, in this order."""
        images, labels = _images(x), torch.from_numpy(y.astype(np.int64))
        permutation = torch.randperm(len(x)) if order is None else torch.from_numpy(order)
        for batch in permutation.split(batch_size):
            loss = cross_entropy(self.net(images[batch]), labels[batch])
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Return the logits."""
        with torch.inference_mode():
            return torch.cat([self.net(part) for part in _images(x).split(256)]).numpy()

    def call_one(self, x: np.ndarray) -> Callable:
        """Return a function that runs the forward pass."""
        image = _images(x)

        def run() -> Any:
            with torch.inference_mode():
                return self.net(image)

        return run

    predict_one = call_one  # PyTorch has no `predict`

    def conv(
        self, x: np.ndarray, filters: int, kernel_size: int, strides: int, pad: int
    ) -> dict[str, Callable]:
        """Return functions that run forward and backward, one for each memory layout."""
        return {
            "channels_first": _conv_step(x, filters, kernel_size, strides, pad, torch.contiguous_format),
            "channels_last": _conv_step(x, filters, kernel_size, strides, pad, torch.channels_last),
        }


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


def _images(x: np.ndarray) -> Any:
    return torch.from_numpy(x).permute(0, 3, 1, 2)  # with one channel, both layouts are the same in memory


def _converted(weight: np.ndarray) -> np.ndarray:
    """Return a minicnn weight in PyTorch's layout: outputs first, images flattened channels first."""
    if weight.shape[0] == 400:
        weight = weight.reshape(5, 5, 16, 120).transpose(2, 0, 1, 3).reshape(400, 120)
    return np.ascontiguousarray(weight.transpose(3, 2, 0, 1) if weight.ndim == 4 else weight.T)
