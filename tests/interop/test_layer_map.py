import subprocess
import sys

from minicnn import layers, models
from minicnn.interop.layer_map import LAYER_MAP, flat_layers, leaf_layers
from minicnn.interop.layer_map.counterpart import Counterpart


def test_the_layer_map_needs_neither_keras_nor_onnx():
    code = (
        "import sys, minicnn.interop.layer_map; "
        "print(*({'keras', 'tensorflow', 'onnx'} & sys.modules.keys()), 'done')"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.split() == ["done"]


def test_every_simple_layer_has_a_row_for_keras_and_onnx():
    composite = {"Layer", "Sequential", "Residual"}
    simple = {
        kind for name in set(layers.__all__) - composite if isinstance(kind := getattr(layers, name), type)
    }
    simple = {kind for kind in simple if issubclass(kind, layers.Layer)}
    assert simple <= LAYER_MAP.keys()
    rows = [LAYER_MAP[kind] for kind in simple]
    assert all(row.to_keras and row.to_onnx for row in rows if row != Counterpart())  # empty: on purpose


def test_flat_layers_name_the_index_at_each_level():
    inner = layers.Sequential([layers.ReLU(), layers.Flatten()])
    model = layers.Sequential([layers.Dense(2), inner])
    assert [(name, type(layer).__name__) for name, layer in flat_layers(model)] == [
        *(("0", "Dense"), ("1.0", "ReLU"), ("1.1", "Flatten"))
    ]
    assert [name for name, _ in flat_layers(layers.ReLU())] == ["0"]


def test_leaf_layers_are_those_of_all_branches():
    branches = layers.Concatenate([[], [layers.ReLU(), layers.Residual([layers.Dense(2)])]])
    model = layers.Sequential([branches, layers.Flatten()])
    found = [(name, type(layer).__name__) for name, layer in leaf_layers(model)]
    assert found == [("0.1.0", "ReLU"), ("0.1.1.0.0", "Dense"), ("1", "Flatten")]


def test_the_layers_of_all_models_have_a_row():
    for make, shape in ((models.lenet5, (28, 28, 1)), (models.lenet5_1998, (32, 32, 1))):
        for _, layer in flat_layers(make().build(shape, rng=0)):
            assert type(layer) in LAYER_MAP
