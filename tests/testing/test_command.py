import pytest

from minicnn import Layer
from minicnn.testing.command import check_command, load_layer

SOURCE = """
import numpy as np
from minicnn import Layer

class Shift(Layer):
    def __init__(self, by=1.0):
        self.by = by

    def forward(self, x):
        self.cache = None
        return x + self.by

    def backward(self, dy):
        return dy.copy()

class Wrong(Shift):
    def backward(self, dy):
        return 2 * dy

class Images(Shift):
    def init_params(self, input_shape, rng):
        if len(input_shape) != 3:
            raise ValueError("images only")

class Nowhere(Shift):
    def init_params(self, input_shape, rng):
        raise ValueError("nothing suits it")

built = Shift(3)
number = 3

def factory():
    return Shift(2)

def empty():
    return None

def leaves():
    raise SystemExit(3)
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_layers_of_a_test.py").write_text(SOURCE)
    (tmp_path / "broken_module_of_a_test.py").write_text("1 / 0")
    (tmp_path / "leaving_module_of_a_test.py").write_text("raise SystemExit(3)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return "my_layers_of_a_test"


def test_a_right_layer_passes(module):
    text, passed = check_command(f"{module}:Shift", (3,), 0)
    assert passed
    assert text == "Shift() with input shape (3,) passes all 29 checks"


def test_remarks_are_printed():
    text, passed = check_command("minicnn.testing.styles.conventions:CausalConv", (6, 7, 2))
    assert passed
    assert "passes all" in text
    assert text.endswith("\n\nremark: geometry: causal padding: all of it is before the image")


def test_a_wrong_layer_fails_with_the_report(module):
    text, passed = check_command(f"{module}:Wrong", (3,), 0)
    assert not passed
    assert "gradients: " in text
    assert "a constant factor: the gradient is 2 times" in text


def test_without_a_shape_those_that_suit_are_tried(module):
    assert check_command(f"{module}:Shift")[0].count("passes all") == 2
    assert check_command(f"{module}:Images")[0] == "Images() with input shape (8, 7, 3) passes all 29 checks"
    with pytest.raises(ValueError, match=r"does not build with .* --input: .*nothing suits it"):
        check_command(f"{module}:Nowhere")


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("Shift", 1.0),
        ("Shift(5)", 5),
        ("Shift(by=-2.5)", -2.5),
        ("built", 3),
        ("factory", 2),
        ("Shift()", 1.0),
    ],
)
def test_layers_are_made_from_literal_arguments(module, name, by):
    layer = load_layer(f"{module}:{name}")
    assert isinstance(layer, Layer)
    assert layer.by == by


def test_a_file_may_be_named_by_its_path(module, tmp_path):
    assert load_layer(f"{tmp_path / module}.py:Shift(4)").by == 4


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("{}", "must be given as FILE.py:NAME or package.module:NAME"),
        ("{}:", "must be given as FILE.py:NAME or package.module:NAME"),
        (":Shift", "must be given as FILE.py:NAME or package.module:NAME"),
        ("{}:Missing", "has no 'Missing'"),
        ("{}:np.nothing", "has no 'np.nothing'"),
        ("no_such_module_anywhere:Shift", "cannot be imported: ModuleNotFoundError"),
        ("no_such_file.py:Shift", "no such file: no_such_file.py"),
        ("broken_module_of_a_test:Shift", "cannot be imported: ZeroDivisionError"),
        ("leaving_module_of_a_test:Shift", "cannot be imported: SystemExit: 3"),
        ("{}:leaves", "cannot be created: SystemExit: 3"),
        ("{}:number", "must be a Layer class"),
        ("{}:empty", "must return a Layer, got NoneType"),
        ("{}:Shift(1, 2)", "cannot be created: TypeError"),
        ("{}:Shift(open('x'))", "with literal values as arguments"),
        ("{}:Shift(", "with literal values as arguments"),
    ],
)
def test_wrong_targets_raise_clear_errors(module, target, message):
    with pytest.raises(ValueError, match=r".") as caught:
        check_command(target.format(module), (3,), 0)
    assert message in str(caught.value)


@pytest.mark.parametrize("shape", [(), (0, 3), (-1,)])
def test_wrong_shapes_raise_clear_errors(module, shape):
    with pytest.raises(ValueError, match="must be positive sizes"):
        check_command(f"{module}:Shift", shape, 0)
