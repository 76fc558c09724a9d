import json

import pytest

from minicnn.cli import main


def test_profile_prints_and_writes(tmp_path, capsys):
    files = ["--json", str(tmp_path / "p.json"), "--out", str(tmp_path / "p.png")]
    assert main(["profile", "--model", "lenet5", "--batch-size", "2", "--steps", "1", *files]) == 0
    printed = capsys.readouterr().out
    assert "Training step on 2 images, median of 1 step" in printed
    found = json.loads((tmp_path / "p.json").read_text())
    (total,) = (line.split() for line in printed.splitlines() if line.startswith("total"))
    assert total[4] == f"{found['total']['macs'] / 1e6:.1f}"
    assert found["total"]["macs"] == 2 * (2 * 117600 + 3 * (240000 + 48000 + 10080 + 840))
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_profile_takes_a_run_or_a_model(capsys):
    assert main(["profile", "somewhere", "--model", "lenet5"]) == 2
    assert "not both, got somewhere and lenet5" in capsys.readouterr().err


def test_profile_of_an_unknown_model_lists_them(capsys):
    with pytest.raises(SystemExit):
        main(["profile", "--model", "vgg"])
    assert "lenet5" in capsys.readouterr().err
