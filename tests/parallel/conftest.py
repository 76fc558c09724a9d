"""Lets batches of toy data be split, which are below the usual smallest shard."""

import pytest

from minicnn.parallel import data_parallel


@pytest.fixture(autouse=True)
def split_small_batches(monkeypatch):
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", 1)
