"""Layers: thin objects that hold weights and a cache, and call `minicnn.ops`."""

from minicnn.layers.activations import LeakyReLU, ReLU, Sigmoid, Softmax, Tanh
from minicnn.layers.base import Layer
from minicnn.layers.conv import Conv2D
from minicnn.layers.dense import Dense
from minicnn.layers.dropout import Dropout
from minicnn.layers.flatten import Flatten
from minicnn.layers.normalization import BatchNorm, LocalResponseNorm
from minicnn.layers.pool import GlobalAveragePool2D, Pool2D
from minicnn.layers.sequential import Sequential

__all__ = [
    "BatchNorm",
    "Conv2D",
    "Dense",
    "Dropout",
    "Flatten",
    "GlobalAveragePool2D",
    "Layer",
    "LeakyReLU",
    "LocalResponseNorm",
    "Pool2D",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Softmax",
    "Tanh",
]
