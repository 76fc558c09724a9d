"""Parallel: one training step, or a prediction, on several cores and processes."""
