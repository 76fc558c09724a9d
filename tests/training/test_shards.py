import numpy as np
import pytest

from minicnn import Dense, Flatten, Sequential
from minicnn.losses import softmax_cross_entropy
from minicnn.training import shards
from minicnn.training.shards import Shards


@pytest.mark.parametrize(
    ("smallest", "examples", "split_into"),
    [(36, 3, 1), (36, 4, 2), (36, 6, 3), (36, 99, 3), (1, 2, 2), (1, 1, 1)],
)
def test_a_batch_is_split_where_each_shard_is_large_enough(monkeypatch, smallest, examples, split_into):
    monkeypatch.setattr(shards, "SMALLEST_SHARD", smallest)  # of 36 values an example, twice of it on threads
    model = Sequential([Flatten(), Dense(2)]).build((6, 6, 1), rng=0).train()
    x, y = np.ones((examples, 6, 6, 1), np.float32), np.zeros(examples, int)
    seen = []
    with Shards(
        model, lambda p, labels: (seen.append(len(p)), softmax_cross_entropy(p, labels))[1], 3
    ) as parts:
        parts.step(x, y)
    assert len(seen) == split_into
    assert sum(seen) == examples
