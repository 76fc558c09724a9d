"""Stateless kernels on plain arrays: what the layers compute, without the layers."""
