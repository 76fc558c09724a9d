"""Layers: thin objects that hold weights and a cache, and call `minicnn.ops`."""

from minicnn.config.registry import register_layers
from minicnn.layers.activations import ELU, GELU, LeakyReLU, ReLU, Sigmoid, SiLU, Softmax, Tanh
from minicnn.layers.base import Layer
from minicnn.layers.concatenate import Concatenate
from minicnn.layers.conv import Conv2D
from minicnn.layers.dense import Dense
from minicnn.layers.dropout import Dropout
from minicnn.layers.flatten import Flatten
from minicnn.layers.global_pool import GlobalAveragePool2D, GlobalMaxPool2D
from minicnn.layers.local_response_norm import LocalResponseNorm
from minicnn.layers.normalization import BatchNorm, GroupNorm, LayerNorm
from minicnn.layers.pool import Pool2D
from minicnn.layers.prelu import PReLU
from minicnn.layers.rescaling import Rescaling
from minicnn.layers.residual import Residual
from minicnn.layers.resize import Upsampling2D, ZeroPadding2D
from minicnn.layers.sequential import Sequential

__all__ = [
    "ELU",
    "GELU",
    "BatchNorm",
    "Concatenate",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePool2D",
    "GlobalMaxPool2D",
    "GroupNorm",
    "Layer",
    "LayerNorm",
    "LeakyReLU",
    "LocalResponseNorm",
    "PReLU",
    "Pool2D",
    "ReLU",
    "Rescaling",
    "Residual",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Tanh",
    "Upsampling2D",
    "ZeroPadding2D",
]

register_layers(*(globals()[name] for name in __all__ if name != "Layer"))
