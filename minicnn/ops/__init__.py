"""Stateless kernels on plain arrays: the computations of the layers."""

from minicnn.ops.activations import log_softmax, sigmoid, softmax
from minicnn.ops.conv import conv2d, conv2d_backward
from minicnn.ops.memory import retain_freed_memory
from minicnn.ops.norm_batch import batch_norm, batch_norm_backward
from minicnn.ops.norm_group import group_norm, group_norm_backward
from minicnn.ops.norm_layer import layer_norm, layer_norm_backward
from minicnn.ops.norm_local_response import local_response_norm, local_response_norm_backward
from minicnn.ops.normal import normal_distribution
from minicnn.ops.padding import output_size, resolve_padding
from minicnn.ops.pool import TIES, avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from minicnn.ops.windows import prefers_batch_last

retain_freed_memory()

__all__ = [
    "TIES",
    "avg_pool2d",
    "avg_pool2d_backward",
    "batch_norm",
    "batch_norm_backward",
    "conv2d",
    "conv2d_backward",
    "group_norm",
    "group_norm_backward",
    "layer_norm",
    "layer_norm_backward",
    "local_response_norm",
    "local_response_norm_backward",
    "log_softmax",
    "max_pool2d",
    "max_pool2d_backward",
    "normal_distribution",
    "output_size",
    "prefers_batch_last",
    "resolve_padding",
    "sigmoid",
    "softmax",
]
