import json

import pytest

from minicnn.cli import main

LAYERS = """
import numpy as np
from minicnn import Layer, Parameter

class Scale(Layer):
    def init_params(self, input_shape, rng):
        self.factor = Parameter(np.ones(input_shape[-1]))

    def forward(self, x):
        self.cache = x
        return x * self.factor.value

    def backward(self, dy):
        self.factor.add_grad((dy * self.cache).sum(axis=tuple(range(dy.ndim - 1))))
        return dy * self.factor.value

class Wrong(Scale):
    def backward(self, dy):
        return super().backward(dy) * 1.01
"""


@pytest.fixture
def layers(tmp_path):
    (tmp_path / "layers.py").write_text(LAYERS)
    return tmp_path / "layers.py"


def test_check_passes_a_right_layer(layers, capsys):
    assert main(["check", f"{layers}:Scale", "--input", "4,4,2", "--seed", "3"]) == 0
    captured = capsys.readouterr()
    assert "passes all" in captured.out
    assert captured.err == ""


def test_check_ends_with_status_1_for_a_wrong_layer(layers, capsys):
    assert main(["check", f"{layers}:Wrong"]) == 1
    captured = capsys.readouterr()
    assert "dx" in captured.out
    assert captured.err == ""


@pytest.mark.parametrize("target", ["{}:Missing", "nowhere.py:Scale", "no_such_module:Scale", "{}", "Scale"])
def test_check_refuses_a_wrong_target(layers, capsys, target):
    assert main(["check", target.format(layers)]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("minicnn check: ")
    assert captured.err.count("\n") == 1


def test_several_targets_give_one_json_list(layers, capsys):
    code = main(
        ["check", f"{layers}:Scale", f"{layers}:Wrong", "--input", "3", "--only", "gradients", "--json"]
    )
    assert code == 1
    found = json.loads(capsys.readouterr().out)
    assert [result["passed"] for result in found] == [True, False]
    assert main(["check", f"{layers}:Scale", f"{layers}:Scale", "--input", "3", "--only", "repr,shapes"]) == 0
    assert capsys.readouterr().out.count("passes all 2 checks") == 2


def test_an_unknown_check_is_an_error_in_one_line(layers, capsys):
    assert main(["check", f"{layers}:Scale", "--only", "nothing"]) == 2
    assert "check names must be among" in capsys.readouterr().err
