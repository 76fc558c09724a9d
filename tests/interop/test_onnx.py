import numpy as np
import onnx
import onnxruntime
import pytest

from minicnn import (
    ELU,
    GELU,
    BatchNorm,
    Concatenate,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    GroupNorm,
    Layer,
    LayerNorm,
    LeakyReLU,
    LocalResponseNorm,
    Pool2D,
    PReLU,
    ReLU,
    Rescaling,
    Residual,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Tanh,
    Upsampling2D,
    ZeroPadding2D,
    models,
)
from minicnn.cli import main
from minicnn.interop.layer_map import flat_layers
from minicnn.interop.onnx import save_onnx, to_onnx
from minicnn.runs import open_run

NETS = {
    "lenet5": lambda: models.lenet5().build((28, 28, 1), rng=0),
    "lenet5_1998": lambda: models.lenet5_1998().build((32, 32, 1), rng=0),
    "convolutions": lambda: Sequential(
        [
            Conv2D(4, 3, strides=2, padding="same"),
            BatchNorm(),
            ReLU(),
            Conv2D(6, (3, 2), dilation=(2, 1), strides=(1, 2), groups=2, padding=((2, 1), (0, 3))),
            Tanh(1.7, 0.6),
            Dropout(0.5),
            Sequential([Conv2D(4, 1, use_bias=False), LeakyReLU(0.1)]),
        ]
    ).build((15, 14, 2), rng=0),
    "pooling": lambda: Sequential(
        [
            Pool2D(3, 2, "same"),
            Pool2D((2, 3), 1, ((1, 0), (0, 2)), "avg"),
            Pool2D(3, 2, "same", "avg"),
            Pool2D(2, 1, ((0, 1), (1, 1)), ties="all"),
            Flatten(),
            Dense(7, use_bias=False),
            BatchNorm(),
            Sigmoid(),
            Softmax(),
        ]
    ).build((17, 16, 3), rng=0),
    "alexnet's": lambda: Sequential(
        [
            Conv2D(6, 3),
            ReLU(),
            LocalResponseNorm(),
            LocalResponseNorm(3, 1.0, 0.5, 0.5),
            Flatten(),
            Dropout(0.3, inverted=False),
        ]
    ).build((6, 5, 3), rng=0),
    "normalizations": lambda: Sequential(
        [
            GroupNorm(2),
            BatchNorm(scale=False),
            LayerNorm(eps=0.1, center=False),
            Conv2D(6, 2),
            GroupNorm(6, center=False),
            GroupNorm(1, scale=False),
            Flatten(),
            LayerNorm(),
            Dense(8),
            GroupNorm(4),
        ]
    ).build((5, 6, 4), rng=0),
    "global": lambda: Sequential([Dense(5), GlobalAveragePool2D(), Dense(3)]).build((5, 6, 2), rng=0),
    "rows": lambda: Sequential([Dense(5), BatchNorm(), Dense(3), Softmax()]).build(
        (6, 4), rng=0, dtype="float64"
    ),
    "new layers": lambda: Sequential(
        [
            Rescaling(2.0, 0.5),
            Conv2D(3, 3),
            ELU(0.7),
            Rescaling([1.0, -2.0, 0.5], [0.1, 0.2, 0.3]),
            ZeroPadding2D(((1, 0), (2, 3))),
            SiLU(),
            PReLU(),
            Conv2D(2, 3),
            GELU(),
            PReLU(shared=False),
            Upsampling2D((2, 3)),
            GELU(approximate=True),
            GlobalMaxPool2D(),
            Dense(4),
            PReLU(0.1),
            GELU(),
        ]
    ).build((7, 6, 2), rng=0),
    "channels last": lambda: Sequential(
        [
            Rescaling([2.0, 3.0]),
            PReLU(shared=False),
            PReLU(),
            Upsampling2D(),
            ZeroPadding2D(),
            ZeroPadding2D(0),
        ]
    ).build((3, 4, 2), rng=0),
    "residual": lambda: Sequential(
        [
            Residual([ReLU()]),
            Conv2D(4, 3, padding="same"),
            Residual([Conv2D(4, 3, padding="same"), BatchNorm(), ReLU(), Conv2D(4, 3, padding="same")]),
            Residual(
                [Conv2D(6, 3, strides=2, padding="same")], shortcut=[Conv2D(6, 1, strides=2), BatchNorm()]
            ),
            Residual([Dense(6)], shortcut=[Conv2D(6, 1)]),  # channels last, and first
            Residual([Residual([Conv2D(6, 1)])]),
            GlobalAveragePool2D(),
            Residual([Dense(6), ReLU()]),
        ]
    ).build((7, 6, 2), rng=0),
    "concatenate": lambda: Sequential(
        [
            Concatenate([[], Conv2D(3, 1), [Conv2D(2, 1), Conv2D(2, 3, padding="same")]]),
            Concatenate([Dense(2), Conv2D(2, 1), Sequential([Pool2D(3, 1, "same")])]),
            Concatenate([ReLU()]),
            Concatenate([[Flatten(), Dense(3)], [GlobalMaxPool2D()]]),
        ]
    ).build((4, 5, 2), rng=0),
    "empty": lambda: Sequential([]).build((4,)),
}


@pytest.mark.parametrize("name", NETS)
def test_onnxruntime_computes_the_same(name, tmp_path):
    model, rng = NETS[name](), np.random.default_rng(0)
    for parameter in model.parameters():
        parameter.value = parameter.value + rng.uniform(0, 0.1, parameter.shape)
    save_onnx(model, tmp_path / "model.onnx")
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].shape == ["N", *model.input_shape]
    assert session.get_outputs()[0].shape == ["N", *model.output_shape]
    for n in (1, 5):
        # Negative images: padding must not win a maximum.
        x = rng.normal(-2, 1, (n, *model.input_shape)).astype("float32")
        (y,) = session.run(None, {"x": x})
        expected = model.predict(x)
        np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", ["convolutions", "normalizations", "residual", "concatenate", "empty"])
def test_the_outputs_of_all_layers_can_be_exported(name):
    model = NETS[name]()
    session = onnxruntime.InferenceSession(
        to_onnx(model, layer_outputs=True).SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(0).normal(-1, 1, (2, *model.input_shape)).astype("float32")
    y, *outputs = session.run(None, {"x": x})
    layers = list(flat_layers(model))
    assert [output.name for output in session.get_outputs()] == ["y", *(f"layers.{p}" for p, _ in layers)]
    np.testing.assert_allclose(y, model.predict(x), atol=1e-5)
    for (_, layer), output in zip(layers, outputs, strict=True):
        x = layer(x)
        np.testing.assert_allclose(output, x, rtol=1e-5, atol=1e-5 * np.abs(x).max())


def test_export_writes_the_model_of_a_run(tmp_path, capsys):
    run, file = tmp_path / "run", tmp_path / "model.onnx"
    main(["train", "--epochs", "1", "--limit", "32", "--val-split", "0.25", "--out", str(run)])
    assert main(["export", str(run), str(file)]) == 0
    assert "(N, 28, 28, 1)" in capsys.readouterr().out
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(0).random((3, 28, 28, 1), dtype="float32")
    np.testing.assert_allclose(session.run(None, {"x": x})[0], open_run(run).model.predict(x), atol=1e-5)
    assert main(["export", str(tmp_path / "none"), str(file)]) == 2
    assert main(["export", str(run), str(tmp_path / "model.keras")]) == 2
    assert "FILE must end in .onnx" in capsys.readouterr().err
    assert not (tmp_path / "model.keras").exists()


class Mine(Layer):
    def forward(self, x):
        return x.copy()


def test_layers_that_onnx_does_not_know_are_named():
    with pytest.raises(ValueError, match=r"layer 1\.0 \(Mine\)"):
        to_onnx(Sequential([ReLU(), Sequential([Mine()])]).build((4,)))
    with pytest.raises(ValueError, match=r"layer 1\.2\.0 \(Mine\)"):
        to_onnx(Sequential([ReLU(), Concatenate([[], [], Mine()])]).build((4,)))
    with pytest.raises(RuntimeError, match="built"):
        to_onnx(Sequential([ReLU()]))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_not_exported(tmp_path, value):
    model = Sequential([Dense(3)]).build((4,), rng=0)
    model[0].bias.value = [0, value, 0]
    with pytest.raises(ValueError, match=r"the weights 'layers.0.bias' are not finite, so the"):
        to_onnx(model)
    with pytest.raises(ValueError, match="are not finite"):
        save_onnx(model, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())
