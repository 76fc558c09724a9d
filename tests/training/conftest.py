"""Toy batches are too small to be split: here they are split all the same."""

import pytest

from minicnn.training import shards


@pytest.fixture(autouse=True)
def split_small_batches(monkeypatch):
    monkeypatch.setattr(shards, "SMALLEST_SHARD", 1)
