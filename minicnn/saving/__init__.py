"""Saving: weights, checkpoints, and the files that hold them."""
