import pytest

from minicnn.bench import BENCHMARKS, PEERS
from minicnn.cli import COMMANDS, main
from minicnn.datasets import DATASETS, NamedDataset, load_mnist
from minicnn.models import MODELS, NamedModel, lenet5
from minicnn.optimizers import OPTIMIZERS, SGD, NamedOptimizer
from minicnn.suggestions import did_you_mean

NAMES = [command.__name__.rpartition(".")[2] for command in COMMANDS]


def printed_help(name, columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    with pytest.raises(SystemExit, match="0"):
        main([*name, "--help"])
    return capsys.readouterr().out


@pytest.mark.parametrize("name", [[], *([name] for name in NAMES)], ids=lambda name: name[0] if name else "")
def test_help_fits_the_terminal_without_a_broken_word(name, monkeypatch, capsys):
    texts = {
        columns: printed_help(name, columns, monkeypatch, capsys) for columns in (1, 20, 40, 80, 120, 1000)
    }
    whole = texts[1000].split()
    for columns, text in texts.items():
        widest = max(texts[columns].splitlines(), key=len)
        if columns >= 80:
            assert len(widest) <= columns, widest
        # The words are the same, in the same order, but for the usage, whose brackets argparse may break.
        start = text.index("\n\n")
        assert text[start:].split() == whole[-len(text[start:].split()) :]
    assert len(max(texts[120].splitlines(), key=len)) > 80 or name in ([], ["export"], ["summary"])


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("trian", "minicnn: unknown command 'trian'; did you mean 'train'?"),
        ("EVALUATE", "minicnn: unknown command 'EVALUATE'; did you mean 'evaluate'?"),
        ("train --epoch 3", "minicnn train: unknown option '--epoch'; did you mean '--epochs'?"),
        ("train --epoch=3", "minicnn train: unknown option '--epoch'; did you mean '--epochs'?"),
        ("train -epochs 3", "minicnn train: unknown option '-epochs'; did you mean '--epochs'?"),
        (
            "train --batch_size 3",
            "minicnn train: unknown option '--batch_size'; did you mean '--batch-size'?",
        ),
        ("evaluate runs/a --jsn", "minicnn evaluate: unknown option '--jsn'; did you mean '--json'?"),
        ("evaluate runs/a runs/b", "minicnn evaluate: unexpected argument 'runs/b'"),
        ("--vresion", "minicnn: unknown option '--vresion'; did you mean '--version'?"),
        (
            "train --optimizer adamm",
            f"minicnn train: --optimizer must be one of {', '.join(OPTIMIZERS)}, got 'adamm'; "
            "did you mean 'adam'?",
        ),
        (
            "bench epochs",
            f"minicnn bench: BENCHMARK must be one of {', '.join(BENCHMARKS)}, got 'epochs'; "
            "did you mean 'epoch'?",
        ),
        (
            "bench --python tosch=bin/python",
            f"minicnn bench: argument --python: must be PEER=PATH with one of {', '.join(PEERS)} before "
            "the =, got 'tosch=bin/python'; did you mean 'torch'?",
        ),
        ("bench --python torch=nowhere", "minicnn bench: argument --python: no such file: nowhere"),
        (
            "bench --peers kears",
            f"minicnn bench: --peers must be one of {', '.join(PEERS)}, got 'kears'; did you mean 'keras'?",
        ),
    ],
)
def test_typos_are_reported_in_one_line_with_the_nearest_name(argv, message, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(argv.split())
    captured = capsys.readouterr()
    command = message.partition(":")[0]
    assert captured.err == f"{message} (see {command} --help)\n"
    assert captured.out == ""


def test_a_misspelt_data_set_is_reported_with_the_nearest_name(capsys):
    assert main(["train", "--dataset", "nmist"]) == 2
    assert capsys.readouterr().err.endswith("got 'nmist'; did you mean 'mnist'?\n")


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ("train --batch-size 0 --limit 9", "minicnn train: --batch-size must be at least 1, got 0"),
        ("train --data here", "minicnn train: --data is only for fashion-mnist, not for mnist"),
        # Python 3.11 compares the empty list of benchmarks with the choices.
        ("bench --rounds 0", "minicnn bench: --rounds must be at least 1, got 0"),
    ],
)
def test_a_wrong_value_is_reported_by_the_name_of_its_option(argv, message, capsys):
    assert main(argv.split()) == 2
    assert capsys.readouterr().err == f"{message}\n"


@pytest.mark.parametrize(
    ("word", "suggested"),
    [
        ("--wieght-decay", "--weight-decay"),
        ("--Seed", "--seed"),
        ("--rank", "--rank-timeout"),  # an abbreviation
        ("--colour", None),
        ("--", None),
        ("", None),
    ],
)
def test_did_you_mean(word, suggested):
    known = ["--weight-decay", "--seed", "--rank-timeout", "-h", "--help"]
    assert did_you_mean(word, known) == (f"; did you mean {suggested!r}?" if suggested else "")


def test_what_is_registered_is_an_option(monkeypatch, capsys):
    monkeypatch.setitem(OPTIMIZERS, "mine", NamedOptimizer(SGD, lr=0.125))
    monkeypatch.setitem(MODELS, "tiny", NamedModel(lenet5))
    monkeypatch.setitem(DATASETS, "letters", NamedDataset(load_mnist))
    words = printed_help(["train"], 1000, monkeypatch, capsys)
    assert f"{', '.join(OPTIMIZERS)} (default: adamw)" in words
    assert "mine 0.125)" in words
    assert f"network: {', '.join(MODELS)}; or a model" in words
    assert f"{', '.join(DATASETS)}; or a folder" in words
