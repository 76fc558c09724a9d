import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from minicnn.bench import PEERS, bench, bench_text, nets
from minicnn.bench.process import Process
from minicnn.bench.report import growth
from minicnn.bench.run import _write_data
from minicnn.cli import main
from minicnn.cores import available_threads

CONV = {"do": "conv", "shape": (1, 12, 12, 2), "filters": 3, "kernel_size": 3, "strides": 2, "pad": 1}


def start(name, folder, python=sys.executable):
    return Process(name, PEERS[name][0], 1, folder, python)


# With Keras in .ci/run, too, and its nets in the test below.
@pytest.mark.parametrize(
    "names", [("minicnn",), pytest.param(("minicnn", "keras"), marks=pytest.mark.campaign)]
)
def test_keras_and_minicnn_do_the_same_tasks(tmp_path, names):
    """From the same weights, in the same order, both are right about as many images."""
    _write_data(tmp_path, 200)
    right = {}
    for name in names:
        with start(name, tmp_path) as process:
            right[name] = process.request(
                {"do": "train", "batch_size": 20, "target": 0.0, "min_epochs": 1, "seed": 0}
            )
            for task in (
                {"do": "epoch", "batch_size": 32, "images": 50},
                {"do": "predict", "seconds": 0.0},
                {"do": "one", "how": "predict", "seconds": 0.0},
                {"do": "one", "how": "call", "seconds": 0.0},
                CONV | {"seconds": 0.0},
            ):
                assert process.request(task)["value"] > 0
    for name in names[1:]:
        assert right[name] == pytest.approx(right["minicnn"])
    assert right["minicnn"]["value"] > 0.3


@pytest.mark.parametrize(
    ("net", "training"), [("color-batch-norm", True), ("color-group-norm", False), ("color-depthwise", False)]
)
def test_keras_and_minicnn_build_the_same_net(net, training):
    """The logits are equal, since both begin with the same weights."""
    peers = Path(nets.__file__).parent / "peers"
    description, weights = nets.describe(net), nets.initial_weights(net)
    ours = runpy.run_path(str(peers / "minicnn_peer.py"))["Peer"](description, weights, 1).model.train(
        training
    )
    theirs = runpy.run_path(str(peers / "keras_peer.py"))["make_model"](description, weights)
    x = np.random.default_rng(0).random((2, *nets.NETS[net].input_shape), np.float32)
    logits = theirs(x, training=training).numpy()
    np.testing.assert_allclose(ours(x), logits, atol=2e-5 * np.abs(logits).max())


def test_a_worker_says_why_it_cannot(tmp_path):
    with (
        start("minicnn", tmp_path) as process,
        pytest.raises(RuntimeError, match=r"FileNotFoundError.*x_test"),
    ):
        process.request({"do": "predict", "seconds": 0.0})
    with start("minicnn", tmp_path) as process:
        process._process.kill()
        with pytest.raises(RuntimeError, match="exit status -9"):
            process.request({"do": "about"})


@pytest.mark.parametrize(
    "rounds", [pytest.param(1, marks=pytest.mark.ci), pytest.param(2, marks=pytest.mark.campaign)]
)
def test_bench_runs_each_benchmark(rounds):
    lines = []
    threads = min(2, available_threads())
    results = bench(rounds=rounds, limit=12, peers=(), threads=threads, log=lines.append)
    text = bench_text(results)
    for case in results["cases"]:
        assert len(case["values"]["minicnn"]) == rounds
        assert all(value > 0 for value in case["values"]["minicnn"])
        assert case["name"] in text
    assert results["failed"] == []
    assert results["peers"].keys() == {"minicnn"}
    line = growth(results)["channels"]["minicnn"]
    assert line["sizes"] == [8, 32, 128, 512]  # what the cases are called; a trial is smaller
    assert len(line["times"]) == 4
    assert "about" in lines[0]
    assert len(lines) == 1 + rounds * len(results["cases"])
    assert 20 < next(c["values"]["minicnn"][0] for c in results["cases"] if c["benchmark"] == "memory") < 1000
    assert ("time on one core divided by time on several" in text) == (threads > 1)


@pytest.mark.ci
def test_bench_keeps_what_there_was_when_it_is_interrupted():
    def log(text):
        if text.startswith("inference, one image, by predict"):
            raise KeyboardInterrupt

    results = bench(["inference", "conv"], rounds=3, limit=12, peers=(), log=log)
    assert results["interrupted"]
    assert [case["name"] for case in results["cases"]] == ["10,000 images", "one image, by predict"]
    assert [value is None for value in results["cases"][0]["values"]["minicnn"]] == [False, True, True]
    assert "interrupted" in bench_text(results)


def test_bench_tells_what_is_missing():
    results = bench(["size"], rounds=1, limit=12, peers=["torch"], pythons={"torch": "/no/such/python"})
    assert "pip install 'minicnn-numpy[bench]'" in results["missing"]["torch"]
    assert "left out: torch" in bench_text(results)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"benchmarks": ["speed"]}, "`benchmarks` must be of epoch, .*, got 'speed'"),
        ({"peers": ["mxnet"]}, "`peers` must be of minicnn, keras, .*, got 'mxnet'"),
        ({"pythons": {"mxnet": "x"}}, "`pythons` must be of .*, got 'mxnet'"),
        ({"rounds": 0}, "`rounds` must be at least 1, got 0"),
        ({"threads": 9999}, "`threads` must be at most .*, the number of available cores, got 9999"),
        ({"pythons": {"minicnn": "/no/such/python"}}, "minicnn itself does not run"),
        ({"limit": 1}, "`limit` must be at least 12, got 1"),
    ],
)
def test_bench_refuses(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        bench(**arguments)


@pytest.mark.ci
def test_the_command_writes_numbers_and_a_picture(tmp_path, capsys):
    arguments = [
        "bench",
        "size",
        "--peers",
        "keras",
        "--rounds",
        "1",
        "--limit",
        "12",
        "--out",
        str(tmp_path),
    ]
    assert main(arguments) == 0
    results = json.loads((tmp_path / "bench.json").read_text())
    (case,) = results["cases"]
    ours, theirs = case["values"]["minicnn"][0], case["values"]["keras"][0]
    assert case["ratios"]["keras"]["median"] == pytest.approx(theirs / ours)
    assert f"{theirs / ours:.2f}x" in capsys.readouterr().out
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_the_command_names_the_benchmarks_it_knows(tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["bench", "sped", "--out", str(tmp_path)])
    assert (
        "epoch, nets, inference, cold-start, conv, growth, memory, size, threads" in capsys.readouterr().err
    )
    with pytest.raises(SystemExit):
        main(["bench", "--python", "torch"])
    assert "must be PEER=PATH, got 'torch'" in capsys.readouterr().err


def test_picture_of_growth_and_ratios():
    from minicnn.plots import benchmark

    def case(benchmark_name, name, ours, theirs):
        between = {"median": theirs / ours, "low": 0.9 * theirs / ours, "high": 1.2 * theirs / ours}
        return {
            "benchmark": benchmark_name,
            "name": name,
            "values": {"minicnn": [ours], "keras": [theirs]},
        } | {"ratios": {"keras": between}}

    cases = [case("epoch", "batch 32", 1.0, 2.0)]
    cases += [
        case("growth", f"{axis} {8 * n}", n, n**2) for axis in ("batch", "channels", "side") for n in (1, 4)
    ]
    results = {"cases": cases}
    figure = benchmark(results, growth(results))
    lines = {line.get_label(): line for line in figure.axes[1].lines}
    assert np.allclose(lines["Keras, slope 2.00"].get_ydata(), [1000, 16000])
    assert list(lines["Keras, slope 2.00"].get_xdata()) == [8, 32]
    assert figure.axes[0].lines[0].get_xdata()[0] == 2.0
