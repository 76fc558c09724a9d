import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from saving.model_zoo import LAYERS, MODELS, disturb
from saving.own_layers import IMAGE, OWN, Block, Scale, inputs

import minicnn
from minicnn import (
    SGD,
    BatchNorm,
    Conv2D,
    Dense,
    FileFormatError,
    Flatten,
    Layer,
    Parameter,
    ReLU,
    Residual,
    Sequential,
    load_model,
    load_weights,
    save_model,
    save_weights,
)
from minicnn.layers import __all__ as layer_names
from minicnn.models import lenet5, lenet5_1998
from minicnn.saving import read_tensors, write_tensors
from minicnn.saving.files import to_json
from minicnn.saving.output_shapes import FileRules, size_of

TESTS = Path(__file__).parents[1]
READ = """
import hashlib, sys
from pathlib import Path
from minicnn import load_model
from saving.own_layers import OWN, inputs

for path in sorted(Path(sys.argv[1]).iterdir()):
    model = load_model(path, OWN)
    y = model.predict(inputs(model.input_shape, model.dtype))
    print(path.name, y.dtype, y.shape, hashlib.sha256(y.tobytes()).hexdigest(), model.output_shape)
"""


def net():
    layers = [Conv2D(3, 2), BatchNorm(), Flatten(), Dense(2)]
    return disturb(Sequential(layers).build((4, 4, 1), rng=0))


def edited(path, **changes):
    """Write a model file again with other values in its text, and a checksum that is right."""
    tensors, text = read_tensors(path)
    write_tensors(path, tensors, to_json(json.loads(text) | changes))
    return path


def test_every_layer_and_model_predicts_the_same_in_another_process(tmp_path):
    expected = []
    for i, (layer, shape) in enumerate([*LAYERS, *MODELS]):
        dtype = (np.float32, np.float64)[i % 2]
        model = disturb(type(layer).from_config(layer.to_config(), OWN).build(shape, rng=i, dtype=dtype))
        save_model(model, tmp_path / f"{i:03}.safetensors")
        y = model.predict(inputs(shape, dtype))
        digest = hashlib.sha256(y.tobytes()).hexdigest()
        expected.append(f"{i:03}.safetensors {y.dtype} {y.shape} {digest} {model.output_shape}")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path])}
    command = [sys.executable, "-c", READ, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stderr == ""
    assert done.stdout.splitlines() == expected


def test_every_layer_of_the_package_is_in_the_zoo_and_declares_its_size():
    tested = {type(layer) for layer, _ in LAYERS} | {Layer}
    assert {getattr(minicnn, name) for name in layer_names} <= tested
    for layer, shape in LAYERS:
        twin = type(layer).from_config(layer.to_config(), OWN).build(shape)
        if (size := size_of(layer, shape)) is not None:
            assert (size.output_shape, size.weights) == (
                twin.output_shape,
                sum(p.size for p in twin.parameters()),
            )
        elif type(layer) not in OWN:
            assert hasattr(layer, "_shape_from_parts"), f"{type(layer).__name__} has no layers, nor _size_for"
            assert FileRules(0).output_shape(twin, shape) == twin.output_shape


def test_a_loaded_model_is_built_and_says_what_it_is(tmp_path):
    path, model = tmp_path / "net.safetensors", net().train()
    made_by = {"data_sha256": "ab", "settings": {"epochs": 3, "lr": 0.1}}
    save_model(model, path, ("cat", "dog"), {"resize": "pad", "background": 0}, made_by)
    loaded = load_model(path)
    assert loaded.class_names == ["cat", "dog"]
    assert loaded.preprocessing == {"resize": "pad", "background": [0, 0, 0]}
    assert loaded.made_by["settings"] == {"epochs": 3, "lr": 0.1}
    assert loaded.made_by["numpy"] == np.__version__
    assert (loaded.input_shape, loaded.output_shape, loaded.dtype) == ((4, 4, 1), (2,), np.float32)
    assert not loaded.training
    assert repr(loaded) == repr(model)
    assert [*dict(loaded.named_parameters())] == [*dict(model.named_parameters())]
    save_model(loaded, tmp_path / "again.safetensors")  # keeps what it was loaded with
    assert (tmp_path / "again.safetensors").read_bytes() == path.read_bytes()


def test_a_loaded_model_trains_on_as_the_one_that_was_saved(tmp_path):
    model = net()
    save_model(model, tmp_path / "net.safetensors")
    loaded = load_model(tmp_path / "net.safetensors")
    x = inputs((4, 4, 1), np.float32)
    for each in (model, loaded):
        each.train()
        each.backward(each(x))
    for ours, theirs in zip(model.parameters(), loaded.parameters(), strict=True):
        assert np.array_equal(ours.grad, theirs.grad)
        assert ours.trainable == theirs.trainable


def test_frozen_weights_and_initializers_survive(tmp_path):
    model = net()
    model[0].kernel.trainable = False
    model[1].running_mean.trainable = True
    save_model(model, tmp_path / "net.safetensors")
    loaded = load_model(tmp_path / "net.safetensors")
    assert [p.trainable for p in loaded.parameters()] == [p.trainable for p in model.parameters()]
    assert loaded[0].kernel_initializer is model[0].kernel_initializer


def test_frozen_layers_survive_also_with_a_trainable_one_inside(tmp_path):
    model = Sequential([Dense(3), Residual([Dense(3), BatchNorm(), Dense(3)]), Block2()]).build((3,), rng=0)
    model[1].trainable = False
    model[1].layers[2].trainable = True
    model[2].inner.trainable = False
    save_model(model, tmp_path / "net.safetensors")
    loaded = load_model(tmp_path / "net.safetensors", [Block2])
    flags = [layer.trainable for _, layer in model.named_layers()]
    assert [layer.trainable for _, layer in loaded.named_layers()] == flags
    assert flags.count(False) == 4
    x = np.random.default_rng(0).standard_normal((4, 3)).astype(np.float32)
    before = loaded.get_weights()
    loaded.train()
    loaded.backward(loaded(x))
    SGD(0.1).step(loaded.parameters())
    moved = {
        name
        for (name, p), old in zip(loaded.named_parameters(), before, strict=True)
        if not np.array_equal(p.value, old)
    }
    assert moved == {f"layers.{at}.{name}" for at in ("0", "1.layers.2") for name in ("kernel", "bias")}


class Block2(Layer):
    def init_params(self, input_shape, rng):
        self.inner = Dense(3).build(input_shape, rng)

    def forward(self, x):
        return self.inner(x)

    def backward(self, dy):
        return self.inner.backward(dy)


def test_frozen_layers_survive_and_can_be_thawed(tmp_path):
    model = net()
    model.trainable = False
    model[-1].trainable = True
    save_model(model, tmp_path / "net.safetensors")
    loaded = load_model(tmp_path / "net.safetensors")
    for _ in range(2):
        assert [p.trainable for p in loaded.parameters()] == [p.trainable for p in model.parameters()]
        assert [layer.trainable for layer in loaded] == [layer.trainable for layer in model]
        model.trainable = loaded.trainable = True


def test_own_layers_are_refused_unless_their_classes_are_passed(tmp_path):
    path = tmp_path / "own.safetensors"
    save_model(Sequential([Block(2), Scale(), ReLU()]).build(IMAGE, rng=0), path)
    with pytest.raises(ValueError, match=r"custom_layers=\[Block, Scale\]"):
        load_model(path)
    with pytest.raises(FileFormatError, match=r"unknown layers: Block; pass"):
        load_model(path, [Scale])
    assert isinstance(load_model(path, OWN)[0], Block)


def test_an_own_layer_may_have_the_name_of_one_of_the_package(tmp_path):
    own = type("ReLU", (Scale,), {})
    save_model(Sequential([own(3.0), ReLU()]).build((2,)), tmp_path / "own.safetensors")
    loaded = load_model(tmp_path / "own.safetensors", [own])
    assert [type(layer) for layer in loaded] == [own, ReLU]


def test_custom_layers_must_be_classes_of_layers_each_name_once(tmp_path):
    save_model(net(), tmp_path / "net.safetensors")
    for wrong in (Scale, "Scale", None):  # in place of a list
        with pytest.raises(TypeError, match="`custom_layers` must be a list of layer classes, got "):
            load_model(tmp_path / "net.safetensors", wrong)
    with pytest.raises(TypeError, match="must contain layer classes, got Scale"):
        load_model(tmp_path / "net.safetensors", [Scale()])
    with pytest.raises(ValueError, match="got two Scale"):
        load_model(tmp_path / "net.safetensors", [Scale, type("Scale", (Layer,), {})])


class Forgets(Scale):
    def __init__(self, start):
        super().__init__(2 * start)
        self.begin = start


class Hides(Layer):
    def __init__(self, units):
        self.n = units

    def forward(self, x):
        return x.copy()


class Applies(Hides):
    def __init__(self, function):
        self.function = function


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Hides(3), "Hides cannot be saved: its __init__ must keep the argument `units` as self.units"),
        (Forgets(3), r"(?s)a constructor changes its arguments.*Forgets\(12\).* instead of .*Forgets\(6\)"),
        (Applies(np.tanh), "Applies .* its argument `function` is <ufunc 'tanh'>; a file can hold"),
        (Applies({1: 2}), "its argument `function` is {1: 2}; a file can hold"),
        (Applies(np.zeros(1_000_000)), "a file can hold numbers, .* small arrays"),
    ],
)  # fmt: skip
def test_a_layer_that_cannot_be_made_again_is_not_saved(tmp_path, layer, message):
    with pytest.raises(ValueError, match=message):
        save_model(Sequential([layer]).build((2,)), tmp_path / "net.safetensors")
    assert not list(tmp_path.iterdir())


def test_models_that_are_not_built_are_refused(tmp_path):
    with pytest.raises(TypeError, match=r"`model` must be a layer or model, got 'net.safetensors'"):
        save_model("net.safetensors", net())
    with pytest.raises(RuntimeError, match="must be built before"):
        save_model(Sequential([Dense(1)]), tmp_path / "net.safetensors")


@pytest.mark.parametrize("names", ["ab", ["a"], ["a", 2], ["a", "b\x1b[2J"], ["a", "b", "c"]])
def test_class_names_are_one_printable_text_for_each_output(tmp_path, names):
    with pytest.raises(ValueError, match="must be 2 printable strings"):
        save_model(net(), tmp_path / "net.safetensors", class_names=names)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": (5, 4)}, {"channels": 3}, {"resize": "stretch"}, {"background": 256}, {"mean": 0.5},
        {"scale": float("nan")}, {"offset": [1, 2]}, "digit", 3, {"size": "44"},
        {"background": [1, True, "x"]},
    ],
)  # fmt: skip
def test_preprocessing_must_be_known_and_fit_the_input(tmp_path, wrong):
    with pytest.raises((ValueError, TypeError), match=r"`.*` must"):
        save_model(net(), tmp_path / "net.safetensors", preprocessing=wrong)


def test_load_weights_reads_a_model_file(tmp_path):
    save_model(net(), tmp_path / "net.safetensors")
    other = Sequential([Conv2D(3, 2), BatchNorm(), Flatten(), Dense(2)]).build((4, 4, 1), rng=9)
    assert load_weights(other, tmp_path / "net.safetensors") is None
    assert all(map(np.array_equal, other.get_weights(), net().get_weights()))


def test_weights_that_fit_are_loaded_and_the_rest_is_said(tmp_path):
    path = tmp_path / "net.safetensors"
    save_model(net(), path)
    other = Sequential([Conv2D(3, 2), BatchNorm(), Flatten(), Dense(5), ReLU(), Scale()])
    before = other.build((4, 4, 1), rng=9).get_weights()
    report = load_weights(other, path, partial=True)
    assert report.loaded == [f"layers.0.{name}" for name in ("kernel", "bias")] + [
        f"layers.1.{name}" for name in ("gamma", "beta", "running_mean", "running_var")
    ]
    assert str(report) == (
        "6 weights loaded; missing: layers.5.factor; wrongly shaped: layers.3.kernel, layers.3.bias"
    )
    after = other.get_weights()
    assert all(map(np.array_equal, after[:6], net().get_weights()[:6]))
    assert all(map(np.array_equal, after[6:], before[6:]))
    with pytest.raises(ValueError, match=r"no weight in .* fits the model: 0 weights loaded; missing"):
        load_weights(Dense(3).build((3,)), path, partial=True)


def test_a_file_of_weights_is_no_model_file(tmp_path):
    save_weights(net(), tmp_path / "w.safetensors")
    with pytest.raises(
        FileFormatError, match="weights but no architecture: build the model, then call load_w"
    ):
        load_model(tmp_path / "w.safetensors")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n\xff" + bytes(99))
    with pytest.raises(FileFormatError, match=r"png is not a valid safetensors file: its header is not text"):
        load_model(tmp_path / "picture.png")
    np.savez(tmp_path / "state.pth", np.zeros(3))
    with pytest.raises(
        FileFormatError, match=r"zip archive, as torch.save writes; `minicnn.interop.torch.load_"
    ):
        load_weights(net(), tmp_path / "state.pth.npz")
    write_tensors(tmp_path / "x.safetensors", {}, '{"epochs": 3}')
    with pytest.raises(FileFormatError, match="it holds no model"):
        load_model(tmp_path / "x.safetensors")


def layer(name, **arguments):
    return {"class": name, "arguments": arguments}


def dense(units):
    return layer("Dense", units=units)


def nested(depth):
    config = dense(2)
    for _ in range(depth):
        config = layer("Sequential", layers=[config])
    return config


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"minicnn_model": 2}, "its version is 2, this minicnn reads version 1: update minicnn"),
        ({"minicnn_model": "1"}, "it holds no model"),
        ({"more": 1}, "must have the keys"),
        ({"dtype": "float16"}, "`dtype` must be float32 or float64"),
        ({"input_shape": [4, 4, -1]}, "must have positive sizes"),
        ({"input_shape": [4, 4, 2]}, "more weights than the file"),
        ({"input_shape": [10**6, 10**6, 1]}, "at most 268,435,456 values"),
        ({"input_shape": [10**30]}, "must fit into 64 bits"),
        ({"frozen": {"weights": ["layers.9.kernel"], "layers": []}}, "what the model does not have"),
        ({"class_names": ["a"]}, "must be 2 printable strings"),
        ({"preprocessing": {"size": [9, 9]}}, "`size` must be that of the model"),
        ({"architecture": {}}, "a layer must have `class` and `arguments`"),
        ({"architecture": layer("os.system")}, "`class` must be the name of a class"),
        ({"architecture": layer("Layer")}, r"unknown layers: Layer; pass"),
        ({"architecture": layer("Dense", kernel_initializer={"function": "os.system"})}, "unknown kind"),
        ({"architecture": layer("Dense", units=2, __class__=1)}, "it has no argument '__class__'"),
        ({"architecture": layer("Dense", units=10**7)}, "more weights than the file: none left for Dense"),
        ({"architecture": layer("Dense", units="2")}, "Dense cannot be made from these arguments: `"),
        ({"architecture": nested(40)}, "nested more than 100 levels"),
        ({"architecture": layer("Sequential", layers=[layer("ReLU")] * 10_001)}, "more than 10,000 layers"),
        ({"architecture": layer("Upsampling2D", size=10**6)}, "at most 268,435,456 values"),
        ({"architecture": layer("ZeroPadding2D", padding=10**8)}, "at most 268,435,456 values"),
        ({"architecture": layer("PartialConv2D", table=[[0]], kernel_size=10**6)}, "does not fit"),
        (
            {"architecture": layer("Conv2D", filters=1, kernel_size=2, padding="same", dilation=10**18)},
            "at most",
        ),
        ({"architecture": layer("Conv2D", filters=1, kernel_size=1, dilation=2**63)}, "at most"),
        ({"architecture": layer("Pool2D", pool_size=1, strides=2**63)}, "at most"),
        ({"architecture": layer("Sequential", layers="abc")}, "must be a Layer object, got 'a'"),
        ({"architecture": layer("Residual", layers=[layer("Flatten")])}, "must have the same shape"),
        ({"architecture": layer("Sequential", layers=[{"array": [1], "dtype": "O"}])}, "unknown kind"),
        ({"architecture": layer("ReLU")}, "unexpected: layers.0.bias"),
    ],
)  # fmt: skip
def test_a_hostile_file_is_refused(tmp_path, changes, message):
    path = tmp_path / "net.safetensors"
    save_model(net(), path)
    with pytest.raises(FileFormatError, match=message):
        load_model(edited(path, **changes))


def test_what_an_own_layer_holds_is_limited_too(tmp_path):
    path = tmp_path / "net.safetensors"
    save_model(Sequential([Block(2)]).build(IMAGE, rng=0), path)
    config = json.loads(read_tensors(path)[1])["architecture"]
    config["arguments"]["layers"][0]["arguments"]["filters"] = 10**6
    with pytest.raises(FileFormatError, match="more weights than the file: none left for Conv2D"):
        load_model(edited(path, architecture=config), OWN)


class Divided(Layer):
    """A layer that checks none of its arguments."""

    def __init__(self, parts, names=("a",)):
        self.parts, self.names = parts, names

    def init_params(self, input_shape, rng):
        self.factors = Parameter(np.ones(input_shape[-1] // self.parts))
        self.index = {"a": 0}[self.names[0]]

    def forward(self, x):
        return x * self.factors.value[self.index]


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ({"parts": 0}, "ZeroDivisionError: "),
        ({"names": {"tuple": ["b"]}}, "KeyError: 'b'"),
        ({"parts": 99}, "IndexError: "),
        ({"names": {"tuple": []}}, "IndexError: tuple index"),
    ],
)
def test_what_a_custom_layer_raises_for_arguments_of_a_file_is_a_format_error(tmp_path, arguments, found):
    path = tmp_path / "net.safetensors"
    save_model(Sequential([Divided(2)]).build((4,), rng=0), path)
    config = json.loads(read_tensors(path)[1])["architecture"]
    config["arguments"]["layers"][0]["arguments"] |= arguments
    with pytest.raises(FileFormatError, match=f"a custom layer cannot be built with .*: {found}"):
        load_model(edited(path, architecture=config), [Divided])


def test_a_config_makes_the_same_layer_and_is_json():
    config = json.loads(json.dumps(lenet5(3).to_config()))
    assert repr(Sequential.from_config(config)) == repr(lenet5(3))
    assert repr(Layer.from_config(config)) == repr(lenet5(3))
    code = f"from minicnn import Sequential; Sequential.from_config({lenet5_1998().to_config()})"
    subprocess.run([sys.executable, "-c", code], check=True)  # which has imported nothing else
    with pytest.raises(ValueError, match="must be of a Dense, got a Sequential"):
        Dense.from_config(config)
