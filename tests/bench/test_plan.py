import itertools

import numpy as np
import pytest

from minicnn.bench.nets import NETS, build, describe
from minicnn.bench.plan import Plan
from minicnn.models import lenet5


def named(benchmark, limit=None, threads=2, peers=("minicnn", "keras", "tinynn")):
    return {case.name: case for case in Plan(peers, threads, limit).cases[benchmark]()}


def test_convolutions_count_the_multiply_adds_of_forward_and_both_gradients():
    cases = named("conv")
    # VGG 1_2: 224x224 outputs of 64 channels from 3x3x64 cells; AlexNet 1: 55x55 of 96 from 11x11x3.
    assert cases["VGG 1_2"].macs == 3 * 8 * 224 * 224 * 64 * 9 * 64
    assert cases["AlexNet 1"].macs == 3 * 8 * 55 * 55 * 96 * 121 * 3
    assert cases["ResNet stem"].macs == 3 * 8 * 112 * 112 * 64 * 49 * 3


def test_an_epoch_counts_the_multiply_adds_of_lenet5():
    # Layers of 117,600, 240,000, 48,000, 10,080 and 840; the first computes no dx.
    work = 60_000 * (2 * 117_600 + 3 * (240_000 + 48_000 + 10_080 + 840))
    assert named("epoch")["batch 128"].macs == work


def test_frameworks_in_numpy_take_part_where_they_can():
    cases = named("epoch")
    assert cases["batch 32"].peers == ("minicnn", "keras")
    assert cases["6,000 images, batch 64"].peers == ("minicnn", "keras", "tinynn")


def test_a_limit_makes_everything_small():
    assert named("conv", limit=20)["VGG 1_2"].task["shape"] == (8, 20, 20, 20)
    assert named("growth", limit=20)["batch 128"].task["shape"] == (20, 20, 20, 20)
    assert named("epoch", limit=20)["batch 32"].task["images"] == 20
    assert named("cold-start", limit=20)["to 98 %"].task["target"] == 0
    assert named("cold-start")["to 98 %"].task["target"] == 0.98


def test_threads_double_up_to_all():
    assert sorted({case.threads for case in named("threads", threads=8).values()}) == [1, 2, 4, 8]
    assert {case.threads for case in named("threads", threads=1).values()} == {1}


def test_the_net_called_lenet5_is_the_models():
    model = lenet5().build((28, 28, 1), rng=0)
    assert repr(build("lenet5")) == repr(lenet5())
    assert all(
        (a == b).all() for a, b in zip(build("lenet5").get_weights(), model.get_weights(), strict=True)
    )


@pytest.mark.parametrize("net", NETS)
def test_descriptions_name_the_input_shape_of_each_layer(net):
    layers = describe(net)["layers"]
    assert layers[0]["input_shape"] == NETS[net].input_shape
    for layer, follower in itertools.pairwise(layers):
        if layer["kind"] == "max_pool":
            assert np.array_equal(np.array(layer["input_shape"][:2]) // 2, follower["input_shape"][:2])
        if layer["kind"] == "flatten":
            assert follower["input_shape"] == (np.prod(layer["input_shape"]),)
