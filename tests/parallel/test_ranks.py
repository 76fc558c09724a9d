"""Several ranks: jobs that run `together.py` under mpiexec, most of them with two ranks."""

import json
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import together
from toy_data import write_folder

from minicnn import SGD, Trainer
from minicnn.parallel import data_parallel
from minicnn.parallel.ranks import Ranks, detect_world

JOB_TIMEOUT = 300  # seconds; a job takes one or two, but more on a busy machine
HERE = Path(__file__).parent
MPIEXEC = Path(sys.executable).with_name("mpiexec")
SCENARIOS = [
    *("plain", "double", "dropout", "empty_shards", "threads_in_ranks", "augmented", "memory_mapped"),
    *("given_batches", "regression", "which_callbacks", "stop_requests", "early_stopping", "interrupted"),
    *("refused", "logged", "stop_at_checkpoint", "batch_sums", "batch_sums_in_threads"),
    *("weighted_loss_and_metrics", "fine_tuned", "own_epochs"),
]


def start(ranks, *command, **options):
    """Start a job whose messages all go to its standard output."""
    pipes = {
        "stdout": subprocess.PIPE,
        "stderr": subprocess.STDOUT,
        "stdin": subprocess.DEVNULL,
        "text": True,
    }
    return subprocess.Popen([MPIEXEC, "-n", str(ranks), *map(str, command)], **pipes, **options)


def results(folder, ranks, names):
    job = start(ranks, sys.executable, HERE.parent / "together.py", folder / "found", *names)
    output, _ = job.communicate(timeout=JOB_TIMEOUT)
    assert job.returncode == 0, output
    return pickle.loads((folder / "found").read_bytes())


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    return results(tmp_path_factory.mktemp("two"), 2, SCENARIOS)


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    return results(
        tmp_path_factory.mktemp("three"),
        3,
        [
            *("plain", "double", "empty_shards", "interrupted", "batch_sums"),
            *("weighted_loss_and_metrics", "fine_tuned"),
        ],
    )


def same(a, b, rtol=0.0, atol=0.0):
    """Compare weights, history and steps of two fits: bit for bit, or up to rounding."""
    for weight, other in zip(a[0], b[0], strict=True):
        np.testing.assert_allclose(weight, other, rtol=rtol, atol=atol)
    assert a[1].keys() == b[1].keys()
    for name, values in a[1].items():
        np.testing.assert_allclose(values, b[1][name], rtol=rtol, atol=atol)
    assert a[2] == b[2]


def test_all_ranks_train_the_same_bit_for_bit(two, three):
    for found in (two, three):
        names = {"plain", "double", "dropout", "empty_shards", "augmented", "early_stopping"}
        for name in names & found.keys():
            for other in found[name][1:]:
                same(other, found[name][0])


@pytest.mark.parametrize("name", ["batch_sums", "batch_sums_in_threads"])
def test_sums_over_the_batch_are_over_all_ranks(two, three, name):
    """The last batch has one example, which the first rank computes."""
    alone, alone_metric = together.batch_sums(None)
    for found in (two, three):
        if name in found:
            for result, metric in found[name]:
                same(result, found[name][0][0])
                same(result, alone, rtol=1e-9, atol=1e-12)
                assert metric == pytest.approx(alone_metric, rel=1e-12)


@pytest.mark.parametrize("name", ["double", "empty_shards", "threads_in_ranks"])
def test_ranks_train_as_one_process_does_up_to_rounding(two, three, name):
    alone = getattr(together, name.replace("threads_in_ranks", "double"))(None)
    for found in (two, three):
        if name in found:
            same(found[name][0], alone, rtol=1e-9, atol=1e-12)


def test_weights_accumulation_splits_and_metrics_of_an_epoch_do_not_depend_on_the_ranks(two, three):
    alone = together.weighted_loss_and_metrics(None)
    assert len({round(history["loss"][-1], 9) for _, history, _ in alone}) == len(alone) - 1
    same(alone[-1], alone[-2], rtol=1e-12)  # class indices and one-hot rows
    for found in (two, three):
        for each in found["weighted_loss_and_metrics"]:
            for own, expected in zip(each, alone, strict=True):
                same(own, expected, rtol=1e-9, atol=1e-12)


def test_what_fine_tuning_uses_does_not_depend_on_the_ranks_or_threads(two, three):
    alone = together.fine_tuned(None)
    for each in (*two["fine_tuned"], *three["fine_tuned"], together.fine_tuned(None, threads=2)):
        same(each, alone, rtol=1e-10, atol=1e-13)


def test_epochs_of_ones_own_do_not_depend_on_the_ranks(two):
    alone, _ = together.own_epochs(None)
    assert 0 < alone[2] < 16  # steps: some batches were left out
    for by_fit, by_hand in two["own_epochs"]:
        same(by_fit, alone, rtol=1e-10, atol=1e-13)
        same(by_hand, by_fit)


@pytest.mark.parametrize("name", ["plain", "regression", "early_stopping"])
def test_ranks_in_float32_train_nearly_as_one_process_does(two, name):
    same(two[name][0], getattr(together, name)(None), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("name", ["plain", "dropout"])
def test_two_ranks_compute_exactly_what_two_threads_do(two, name, monkeypatch):
    monkeypatch.setattr(data_parallel, "SMALLEST_SHARD", 1)
    threads = getattr(together, name)(None, threads=2)
    for weight, other in zip(two[name][0][0], threads[0], strict=True):
        np.testing.assert_array_equal(weight, other)
    assert two[name][0][1]["loss"] == pytest.approx(threads[1]["loss"], rel=1e-6)
    assert two[name][0][1]["accuracy"] == pytest.approx(threads[1]["accuracy"], rel=1e-6)


def test_memory_maps_and_batches_train_as_arrays_do(two):
    for name in ("memory_mapped", "given_batches"):
        for result in two[name]:
            same(result, two["plain"][0])


def test_each_rank_augments_its_shard_with_its_own_generator(two):
    weights, alone = two["augmented"][0][0], together.augmented(None)[0]
    assert any((a != b).any() for a, b in zip(weights, alone, strict=True))


def test_only_rank_0_calls_callbacks_without_every_rank(two):
    assert two["which_callbacks"] == [[10, 10], [0, 10]]
    assert two["logged"] == [[3], []]


def test_all_ranks_stop_at_the_same_step(two):
    """The request of the third step reaches all ranks in the fourth."""
    assert two["stop_requests"] == [[4, 4], [4, 4]]


def test_interrupted_ranks_resume_from_the_checkpoint_of_rank_0_bit_for_bit(two, three):
    for found in (two, three):
        steps, names, whole, again = found["interrupted"][0]
        assert steps == 4
        assert names == [".lock", "step-00000002.safetensors", "step-00000004.safetensors"]
        same(again, whole)
        assert [one[1] for one in found["interrupted"][1:]] == [None] * (len(found["interrupted"]) - 1)
        for one in found["interrupted"]:
            same(one[3], whole)


def test_an_error_common_to_all_ranks_is_raised_in_all(two):
    first, second = two["refused"]
    assert first == second
    mixing, spoilt, unequal, other, ill = first
    assert "ValueError: all ranks must be given the same examples" in other
    assert mixing.startswith(
        "ValueError: `threads` must be 1 or None, and `comm` have one rank, for a model with MixesExamples "
    )
    assert "the ranks' weights differ: a callback that changes weights needs" in spoilt
    assert "must be the same in all ranks, got (70, 16, 2, 0, 2), (70, 17, 2, 0, 2)" in unequal
    assert "epoch 0, step 1: the output of layers.1 (Poison) is the first non-finite value" in ill


def test_a_stop_at_a_checkpoint_makes_no_further_step_and_resumes_to_the_same(two):
    for first, again in two["stop_at_checkpoint"]:
        assert first[2] == again[2] == 3
        for ours, theirs in zip(first[0], again[0], strict=True):
            np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("scenario", ["raises", "unequal_batches"])
def test_an_error_in_one_rank_ends_the_job_with_its_traceback(tmp_path, scenario):
    job = start(2, sys.executable, HERE.parent / "together.py", tmp_path / "found", scenario)
    output, _ = job.communicate(timeout=JOB_TIMEOUT)
    assert job.returncode != 0
    message = {
        "raises": "ZeroDivisionError: in rank 1",
        "unequal_batches": "ValueError: the ranks must be given the same batch, but got 4 of 5 examples",
    }[scenario]
    assert "rank 1 of 2 failed in epoch 0, step 0; aborting all ranks" in output
    assert message in output
    assert output.count("Traceback") == 1


def test_a_rank_that_exits_is_an_error_of_the_job(tmp_path):
    job = start(2, sys.executable, HERE.parent / "together.py", tmp_path / "found", "exits")
    output, _ = job.communicate(timeout=JOB_TIMEOUT)
    assert job.returncode != 0
    _, _, output = output.partition("the child has ended\n")
    assert "rank 1 of 2 called os._exit(0) in a fit; aborting all ranks" in output


def test_the_watchdog_names_the_rank_that_did_not_arrive(tmp_path):
    """In the third step one of the ranks stops itself, as if its machine had failed."""
    script, found = HERE.parent / "together.py", tmp_path / "found"
    jobs = [start(2, sys.executable, script, found, f"stalls_{stalled}") for stalled in (0, 1)]
    for stalled, job in enumerate(jobs):
        output, _ = job.communicate(timeout=JOB_TIMEOUT)
        assert job.returncode != 0
        assert f"rank {stalled} did not reach epoch 0, step 3 within 1 s; aborting all ranks" in output


def run_dying(runs, seed=0):
    command = [
        sys.executable,
        HERE.parent / "training" / "dying_ranks.py",
        "--runs",
        str(runs),
        "--seed",
        str(seed),
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    counts = json.loads(result.stdout or "{}")
    found = [counts.get(name) for name in ("hung", "lost", "different")]
    assert found == [0, 0, 0], f"{counts}\n{result.stderr}"
    assert counts["deaths"] > 0


@pytest.mark.ci
def test_no_run_with_a_killed_rank_hangs_or_is_lost_or_differs():
    run_dying(3, seed=7)  # each of the three kinds of death once


@pytest.mark.campaign
def test_no_run_of_two_hundred_with_a_killed_rank_hangs_or_is_lost_or_differs():
    run_dying(200)


def test_without_mpiexec_detect_world_returns_none_without_mpi4py():
    code = (
        "import sys; from minicnn.parallel.ranks import detect_world; "
        "print(detect_world(), 'mpi4py' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["None", "False"]


@pytest.mark.parametrize("name", ["OMPI_COMM_WORLD_SIZE", "SLURM_STEP_NUM_TASKS"])
def test_ranks_that_cannot_communicate_are_refused(name):
    code = "from minicnn.cli import main; raise SystemExit(main(['train']))"
    command = ["env", f"{name}=4", sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.splitlines()[-1] == (  # mpi4py may have warned before
        "minicnn train: 4 ranks were started, but MPI sees 1: "
        "use the `mpiexec` that belongs to mpi4py's MPI, or `srun --mpi=pmi2`"
    )


def test_a_missing_mpi4py_is_reported(monkeypatch):
    monkeypatch.setenv("PMI_SIZE", "2")
    monkeypatch.setitem(sys.modules, "mpi4py", None)
    with pytest.raises(ImportError, match=r"pip install 'minicnn-numpy\[mpi\]'"):
        detect_world()


def test_invalid_comm_and_timeout_raise():
    with pytest.raises(
        TypeError, match=r"`comm` must be a communicator such as mpi4py.MPI.COMM_WORLD, got 4"
    ):
        Trainer(together.net(), SGD(), comm=4)
    with pytest.raises(ValueError, match=r"`rank_timeout` must be in \(0, inf\), got 0"):
        Ranks(timeout=0)


NO_PICTURES = """
import sys
sys.modules["matplotlib"] = None
from minicnn.cli import main
raise SystemExit(main())
"""

# Rank 0 reports its first epoch, and waits until the signal has arrived.
WAITING = """
import time
from minicnn.training.progress import Progress
say = Progress.on_epoch_end
def on_epoch_end(self, epoch, logs):
    say(self, epoch, logs)
    while not self.state.interrupted:
        time.sleep(0.01)
Progress.on_epoch_end = on_epoch_end
"""


def start_training(*arguments, before=""):
    return start(2, sys.executable, "-c", before + NO_PICTURES, "train", *arguments)


def finished(job):
    output, _ = job.communicate(timeout=JOB_TIMEOUT)
    assert job.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    dataset = write_folder(tmp_path_factory.mktemp("toy") / "toy")
    return ["--dataset", dataset, "--batch-size", 9, "--epochs", 9, "--checkpoint-every", 50]


@pytest.fixture(scope="module")
def whole(options, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "whole"
    output = finished(start_training(*options, "--out", out))
    assert output.count("on 2 ranks") == output.count("epoch 9/9: ") == output.count("of 40 test images") == 1
    return out


@pytest.mark.ci
@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.campaign)])
def test_a_signal_to_mpiexec_ends_all_ranks_and_resume_completes_the_run(options, whole, tmp_path, number):
    out = tmp_path / "run"
    job = start_training(*options, "--out", out, before=WAITING)
    assert any("epoch 1/9" in line for line in job.stdout)
    job.send_signal(number)
    output, _ = job.communicate(timeout=JOB_TIMEOUT)
    assert job.returncode == 128 + number, output
    assert output.count("interrupted after") == output.count("stopping after this step") == 1
    assert f"mpiexec -n 2 minicnn train --resume {out}" in output
    finished(start_training("--resume", out))
    for name in ("model.safetensors", "history.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()
    assert json.loads((out / "result.json").read_text())["ranks"] == 2


def test_wrong_input_is_reported_once_by_all_ranks(tmp_path):
    minicnn = Path(sys.executable).with_name("minicnn")
    job = start(2, minicnn, "train", "--dataset", "nowhere", "--out", tmp_path / "run")
    output, _ = job.communicate(timeout=JOB_TIMEOUT)
    assert job.returncode != 0
    assert output.count("minicnn train: the data set must be mnist, fashion-mnist") == 1
    assert "Traceback" not in output
