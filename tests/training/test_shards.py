import numpy as np
import pytest

from minicnn import SGD, Dense, Flatten, Parameter, Sequential, Trainer
from minicnn.losses import softmax_cross_entropy
from minicnn.training import shards
from minicnn.training.pieces import compute_shard
from minicnn.training.shards import Shards
from minicnn.training.shared import side_by_side


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
    grads = side_by_side(parameters)
    x, y = rng.integers(0, 255, (examples, 30, 30, 1), dtype=np.uint8), rng.integers(0, 7, examples)
    sizes = []

    def loss(predictions, labels):
        sizes.append(len(predictions))
        return softmax_cross_entropy(predictions, labels)

    found = []
    for cut in (False, True):
        value, predictions = compute_shard(model, grads, loss, x, y, examples + 5, cut)
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


def test_gradients_that_lie_side_by_side_are_those_of_the_parameters():
    parameters = [
        Parameter(np.ones(shape, dtype)) for shape, dtype in ((3, "f4"), ((2, 5), "f8"), ((), "f4"))
    ]
    for parameter in parameters:
        parameter.add_grad(np.ones(parameter.shape))
    singles, doubles = side_by_side(parameters)
    assert (singles.dtype, doubles.dtype) == (np.float32, np.float64)
    for parameter in parameters:
        assert not parameter.grad.any()
        assert parameter.grad.ctypes.data % 64 == 0
        parameter.add_grad(np.full(parameter.shape, 2.0))
    assert (singles.sum(), doubles.sum()) == (2 * (3 + 1), 2 * 10)
    singles.fill(7)
    assert parameters[2].grad == 7
    assert (parameters[0].grad == 7).all()
    assert (parameters[1].grad == 2).all()
    assert side_by_side([]) == []


def test_trainers_of_one_model_take_turns(monkeypatch):
    """Each lays the model's gradients in memory of its own."""
    monkeypatch.setattr(shards, "SMALLEST_SHARD", 1)

    def loss(predictions, labels):  # not of the package, so that shards are computed by threads
        return softmax_cross_entropy(predictions, labels)

    x, y = np.random.default_rng(0).random((8, 6, 6, 1), np.float32), np.arange(8) % 2
    one, other = (Sequential([Flatten(), Dense(2)]).build((6, 6, 1), rng=0) for _ in range(2))
    first, second = (Trainer(one, SGD(0.1), loss, threads=2) for _ in range(2))
    for trainer in (first, second, first):
        trainer.fit(x, y, batch_size=8, verbose=0)
        Trainer(other, SGD(0.1), loss, threads=2).fit(x, y, batch_size=8, verbose=0)
    for weights, expected in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(weights, expected, rtol=1e-6)
