import json
import sys

import pytest

from minicnn import Layer
from minicnn.testing import command
from minicnn.testing.targets import load_layer


def check_command(*arguments, **options):
    results = command.check_command(*arguments, **options)
    return "\n\n".join(map(str, results)), all(result.error is None for result in results)


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

def random(rng, shape):
    return rng.standard_normal(shape)

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
        ("minicnn:Conv2d", "has no 'Conv2d'; did you mean 'Conv2D'"),
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


FOREIGN = """
import numpy as np
from helper_of_a_test import double

class Affine:
    def __init__(self, scale=1.0):
        self.w, self.b, self.scale = np.ones((12, 3)), np.zeros(3), scale

    def forward(self, x):
        self.x = x
        return double(x @ self.w + self.b)

    def backward(self, dy):
        self.dw, self.db = double(self.x.T @ dy), self.scale * double(dy.sum(0))
        return double(dy @ self.w.T)

class Centre:
    def __init__(self):
        self.running_mean, self.training = np.zeros(5), True

    def forward(self, x):
        mean = x.mean(axis=0) if self.training else self.running_mean
        if self.training:
            self.running_mean = 0.9 * self.running_mean + 0.1 * mean
        return x - mean

    def backward(self, dy):
        return dy - dy.mean(axis=0)

class Log:
    def forward(self, x):
        self.x = x
        return np.log(x)

    def backward(self, dy):
        return dy / self.x

def positive(rng, shape):
    return rng.uniform(0.5, 2.0, shape)

number = 3
"""


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("helper_of_a_test", "foreign"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "helper_of_a_test.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / "foreign.py").write_text(FOREIGN)
    return tmp_path / "foreign.py"


def test_siblings_of_a_file_can_be_imported_and_objects_are_adapted(foreign):
    text, passed = check_command(f"{foreign}:Affine", (12,))
    assert passed
    assert text.startswith("from_object(Affine) with input shape (12,) passes all")
    text, passed = check_command(f"{foreign}:Affine(2.0)", (12,), only="gradients")
    assert not passed
    assert "gradient of the weight 'b'" in text


def test_the_command_that_repeats_a_failure_has_all_options(foreign):
    assert check_command(f"{foreign}:Centre", (5,), batch_dependent=True)[1]
    text, passed = check_command(f"{foreign}:Centre", (5,), 3, only="examples")
    assert not passed
    assert "--input 5 --seed 3 --only examples" in text
    text, passed = check_command(f"{foreign}:Log", (5,), layout="NHWC", batch_dependent=True)
    assert not passed
    assert "--input 5 --layout NHWC --batch-dependent --only gradients" in text


def test_a_file_of_a_package_may_import_relatively(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    package = tmp_path / "package_of_a_test"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "base.py").write_text(SOURCE)
    (package / "layers.py").write_text("from .base import Shift\n")
    assert load_layer(f"{package / 'layers.py'}:Shift(4)").by == 4


def test_inputs_are_drawn_by_a_function_beside_the_layer(foreign):
    for inputs in ("positive", f"{foreign}:positive"):
        text, passed = check_command(f"{foreign}:Log", (5,), only=("shapes", "gradients"), inputs=inputs)
        assert passed, text
    assert not check_command(f"{foreign}:Log", (5,), only="gradients")[1]
    with pytest.raises(ValueError, match=r"'number' must be a function \(rng, shape\)"):
        check_command(f"{foreign}:Log", (5,), inputs="number")
    with pytest.raises(ValueError, match="has no 'nothing'"):
        check_command(f"{foreign}:Log", (5,), inputs="nothing")


def test_checks_are_chosen_by_name_or_group(module):
    assert "passes all 5 checks" in check_command(f"{module}:Shift", (3,), only="gradients")[0]
    assert "passes `repr`" in check_command(f"{module}:Wrong", (3,), only=("repr",))[0]
    assert not check_command(f"{module}:Wrong", (3,), skip="contract")[1]
    with pytest.raises(ValueError, match="check names must be among"):
        check_command(f"{module}:Shift", (3,), skip="nothing")


def test_json_has_the_report(module):
    (result,) = command.check_command(f"{module}:Wrong", (3,), only="gradients")
    found = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert (found["layer"], found["passed"], found["input_shape"]) == ("Wrong()", False, [3])
    failure = found["failures"][0]
    assert failure["check"] == "gradients"
    assert failure["facts"]["analytic"] == pytest.approx(2 * failure["facts"]["numeric"], rel=1e-6)
    assert found["repeat"] == f"    minicnn check {module}:Wrong --input 3 --only gradients"
    (result,) = command.check_command(f"{module}:Shift", (3,))
    assert (result.to_json()["passed"], result.to_json()["failures"]) == (True, [])


def test_the_command_that_repeats_a_failure_has_all_options_and_quotes(module):
    options = {"only": "mathematics", "inputs": "random", "layout": "NCHW", "seed": 4}
    (result,) = command.check_command(f"{module}:Wrong(by=2)", (3, 4, 5), **options)
    first, second = result.error.repeat.split(" \\\n")
    assert first == f"    minicnn check '{module}:Wrong(by=2)'"
    assert second == "        --input 3,4,5 --inputs random --layout NCHW --seed 4 --only gradients"


def test_one_check_is_named(module):
    text, passed = check_command(f"{module}:Shift", (3,), only="gradients", skip=("ties", "kinks"))
    assert passed
    assert "passes all" in text
    text, _ = check_command(f"{module}:Shift", (3,), only="repr")
    assert text == "Shift() with input shape (3,) passes `repr`"
