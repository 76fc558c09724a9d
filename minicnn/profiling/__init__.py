"""The time of a training step, layer by layer, beside the measured peak of the machine."""

from minicnn.layers.summary import LayerCost, layer_costs
from minicnn.profiling.layers import profile
from minicnn.profiling.machine import describe_machine, gemm_peak
from minicnn.profiling.memory import peak_memory_mb
from minicnn.profiling.report import profile_text

__all__ = [
    "LayerCost",
    "describe_machine",
    "gemm_peak",
    "layer_costs",
    "peak_memory_mb",
    "profile",
    "profile_text",
]
