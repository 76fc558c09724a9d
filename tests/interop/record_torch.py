"""Record what PyTorch computes, for test_torch.py: `python tests/interop/record_torch.py`."""

from pathlib import Path

import numpy as np
import torch
from torch import nn


def nets():
    """Return modules, each with the shape (C, H, W) or (features,) of an example."""
    torch.manual_seed(0)
    return {
        "convolutions": (
            nn.Sequential(
                nn.Conv2d(3, 6, (3, 2), stride=(2, 1), padding=(1, 0)),
                nn.BatchNorm2d(6),
                nn.LeakyReLU(0.1),
                nn.Sequential(nn.Conv2d(6, 6, 3, padding="same", groups=3, bias=False), nn.GroupNorm(2, 6)),
                nn.ELU(),
                nn.MaxPool2d(3, stride=2, padding=1),
                nn.PReLU(6),
                nn.Dropout(0.5),
                nn.Flatten(),
                nn.BatchNorm1d(6 * 3 * 4),
                nn.Linear(6 * 3 * 4, 7),
                nn.GELU(),
                nn.LayerNorm(7),
                nn.Linear(7, 5, bias=False),
                nn.Softmax(dim=1),
            ),
            (3, 9, 8),
        ),
        "pooled": (
            nn.Sequential(
                nn.ZeroPad2d((1, 2, 0, 1)),
                nn.Conv2d(1, 4, 3, dilation=(2, 1)),
                nn.Tanh(),
                nn.LocalResponseNorm(3, alpha=0.5, beta=0.7, k=2.0),
                nn.AvgPool2d(2),
                nn.Upsample(scale_factor=2),
                nn.SiLU(),
                nn.AdaptiveAvgPool2d(1),
                nn.Flatten(),
                nn.Identity(),
                nn.Linear(4, 3),
                nn.PReLU(),
                nn.Sigmoid(),
            ),
            (1, 8, 7),
        ),
    }


def randomize(net):
    """Give the running statistics and the scales values of their own."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 2)
            nn.init.normal_(module.bias)
    return net.eval()


def main():
    """Write the states, inputs and outputs of all nets."""
    arrays = {}
    for name, (net, shape) in nets().items():
        x = torch.randn(4, *shape)
        arrays[f"{name}/x"] = x.numpy()
        with torch.no_grad():
            arrays[f"{name}/y"] = randomize(net)(x).numpy()
        arrays |= {f"{name}/state/{key}": value.numpy() for key, value in net.state_dict().items()}
    np.savez_compressed(Path(__file__).with_name("torch_recorded.npz"), **arrays)


if __name__ == "__main__":
    main()
