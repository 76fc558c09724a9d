import runpy
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent.parent / "examples" / "scaling"


@pytest.fixture(scope="module")
def model():
    return runpy.run_path(str(FOLDER / "cost_model.py"))


def test_adding_up_costs_what_was_calculated_by_hand(model):
    seconds = model["allreduce_seconds"]
    assert seconds(1000, 1, 1e6, 1.0) == 0
    # A ring of 4: six pieces of 250 bytes at a byte a second; doubling: twice all of it.
    assert seconds(1000, 4, 1, 0) == 6 * 250
    # Short, and far away: doubling three times, also for 5 ranks.
    assert seconds(1, 5, 1, 100) == 3 * 101


def test_a_step_is_the_sum_of_its_parts(model):
    costs = model["Costs"](step=1.0, image=0.5, update=0.25, parameters=1_000, image_bytes=10)
    parts = model["step_seconds"](costs, 4, 10, bandwidth=1e3, latency=0.0, disk=5.0)
    message = 2 * 3 * 1_000 / 1e3 + 4 * 4_000 / model["COPYING"]
    # The largest of the shards of 10 images has 3.
    assert parts == {"compute": 2.5, "update": 0.25, "allreduce": message, "read": 6.0}
    assert model["step_seconds"](costs, 1, 10, 1e3, 0.0, 5.0)["allreduce"] == 0


@pytest.mark.parametrize("name", ["lenet5", "alexnet"])
def test_the_chapter_shows_what_the_model_prints(model, name, capsys):
    model["main"](["--ranks", "1,2,8,64,512", "--model", name, "--bandwidth", "10Gbit"])
    assert capsys.readouterr().out.strip() in (FOLDER / "README.md").read_text()


def test_the_limits_of_the_chapter(model):
    lenet5, alexnet = model["MEASURED"]["lenet5"], model["MEASURED"]["alexnet"]
    ethernet, fast = (1.25e9, 30e-6, 5e8), (1.25e10, 2e-6, 5e8)
    limit = model["last_that_pays"]
    limits = [limit(lenet5, 128, ethernet), limit(alexnet, 128, ethernet), limit(lenet5, 128, fast)]
    assert limits == [4, 8, 8]
    assert [limit(lenet5, 2048, ethernet), limit(alexnet, 2048, ethernet)] == [64, 128]


def test_costs_can_be_measured_anew(model):
    costs = model["measure"]("lenet5", repeats=2)
    assert (costs.parameters, costs.image_bytes) == (61_706, 784)
    assert costs.image > 0 < costs.update


@pytest.mark.ci
def test_a_job_of_two_ranks_is_measured():
    seconds = runpy.run_path(str(FOLDER / "measure.py"))["run"](ranks=2, batch_size=16, steps=7)
    assert 0 < seconds["allreduce"] < seconds["step"] < 60


@pytest.mark.campaign
def test_one_and_two_ranks_are_measured_in_turns(capsys):
    runpy.run_path(str(FOLDER / "measure.py"))["main"](["--rounds", "1", "--steps", "7"])
    lines = capsys.readouterr().out.splitlines()
    titles = ["strong, 1 rank", "strong, 2 ranks", "weak, 1 rank", "weak, 2 ranks"]
    assert [line[:15].strip() for line in lines[1:]] == titles
    assert [line.split()[-2:] for line in lines[1::2]] == [["1.00", "100%"]] * 2
