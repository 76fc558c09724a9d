import numpy as np
import pytest

from minicnn import Dense, Flatten, Sequential
from minicnn.losses import softmax_cross_entropy
from minicnn.training import shards
from minicnn.training.pieces import compute_shard
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


@pytest.mark.parametrize("examples", [1, 127, 128, 333])
def test_large_shards_are_computed_in_pieces_with_the_same_result(examples):
    """Of 64 examples and more, so that arrays stay in a core's cache."""
    rng = np.random.default_rng(0)
    model = Sequential([Flatten(), Dense(7)]).build((30, 30, 1), rng=0).train()
    parameters = model.parameters()
    x, y = rng.integers(0, 255, (examples, 30, 30, 1), dtype=np.uint8), rng.integers(0, 7, examples)
    sizes = []

    def loss(predictions, labels):
        sizes.append(len(predictions))
        return softmax_cross_entropy(predictions, labels)

    found = []
    for cut in (False, True):
        value, predictions = compute_shard(model, parameters, loss, x, y, examples + 5, cut)
        found.append([value, predictions, *(parameter.grad.copy() for parameter in parameters)])
    for whole, pieces in zip(*found, strict=True):
        np.testing.assert_allclose(pieces, whole, rtol=1e-5, atol=1e-6)
    assert sizes[1:] == {1: [1], 127: [127], 128: [64, 64], 333: [66, 67, 66, 67, 67]}[examples]


def test_two_ranks_cut_as_two_threads_do_and_what_users_write_is_not_cut():
    class Two:
        rank, size = 0, 2

    model = Sequential([Flatten(), Dense(2)]).build((6, 6, 1), rng=0)
    assert Shards(model, softmax_cross_entropy, 2).ours
    assert Shards(model, softmax_cross_entropy, 1, Two).ours
    assert not Shards(model, softmax_cross_entropy, 1).ours
    assert not Shards(model, lambda p, labels: softmax_cross_entropy(p, labels), 2).ours
