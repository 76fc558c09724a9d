import numpy as np
import pytest

from minicnn import BatchNorm, Conv2D, Dense, Flatten, ReLU, Sequential
from minicnn.profiling import profile


def tiny():
    return Sequential([Conv2D(4, 3), BatchNorm(), ReLU(), Flatten(), Dense(5)]).build((8, 8, 2), rng=0)


def test_profile_counts_macs_and_bytes_of_the_batch():
    rows = {row["name"]: row for row in profile(tiny(), batch_size=3, steps=2)["layers"]}
    # 6x6 outputs of 4 channels, from 3x3x2 cells; the first layer computes no dx.
    assert rows["0 Conv2D"]["macs"] == 3 * 2 * (6 * 6 * 4) * (3 * 3 * 2)
    assert rows["4 Dense"]["macs"] == 3 * 3 * (144 * 5)
    assert rows["0 Conv2D"]["bytes_output"] == 3 * 6 * 6 * 4 * 4
    assert rows["0 Conv2D"]["bytes_cached"] == 3 * 8 * 8 * 2 * 4  # its input


def test_profile_sums_are_those_of_the_rows():
    found = profile(tiny(), batch_size=2, steps=3)
    rows, total = found["layers"], found["total"]
    assert [row["name"] for row in rows[-2:]] == ["loss", "Adam"]
    assert found["steps"] == 3
    assert all(row["forward_ms"] > 0 and row["backward_ms"] > 0 for row in rows[:-2])
    assert sum(row["share"] for row in rows) == pytest.approx(1)
    seconds = (total["forward_ms"] + total["backward_ms"]) / 1000
    assert total["gflops"] == pytest.approx(2 * total["macs"] / seconds / 1e9)
    assert total["share_of_peak"] == pytest.approx(total["gflops"] / found["machine"]["gemm_gflops"])


def test_profile_leaves_the_model_as_it_is():
    model = tiny()
    before = model.get_weights()
    profile(model, batch_size=2, steps=2)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    assert not model.training
    assert model[0].needs_dx


@pytest.mark.parametrize("name", ["batch_size", "threads", "steps"])
def test_profile_refuses_numbers_below_one(name):
    with pytest.raises(ValueError, match=f"`{name}` must be at least 1, got 0"):
        profile(tiny(), **{name: 0})


def test_profile_refuses_what_is_no_sequential():
    with pytest.raises(TypeError, match="must be a Sequential"):
        profile(Dense(2).build((3,)))
