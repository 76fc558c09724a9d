import numpy as np
import pytest

from minicnn.demo import inside
from minicnn.insight import Trace
from minicnn.layers import (
    BatchNorm,
    Conv2D,
    Dense,
    Flatten,
    GlobalAveragePool2D,
    GlobalMaxPool2D,
    LocalResponseNorm,
    Pool2D,
    ReLU,
    Residual,
    Sequential,
    Tanh,
)
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample


def trace_of(layers, shape, seed=0):
    model = Sequential(layers).build(shape, rng=seed, dtype=np.float64)
    for parameter in model.parameters():  # biases are zero at first
        parameter.value = np.random.default_rng(seed).normal(size=parameter.shape)
    x = np.random.default_rng(seed + 1).normal(size=(1, *shape))
    trace = Trace(model, x)
    return model, trace, [trace.x, *trace.outputs]


@pytest.mark.parametrize(
    "conv",
    [
        Conv2D(4, 3),
        Conv2D(4, (3, 5), padding="same", strides=(2, 1)),
        Conv2D(4, 2, dilation=(2, 3), padding=((3, 1), (0, 2))),
        Conv2D(4, 3, groups=2, use_bias=False),
    ],
    ids=repr,
)
def test_explain_conv_multiplies_and_sums_to_what_the_layer_said(conv):
    _, trace, stages = trace_of([conv, ReLU()], (9, 8, 2))
    rows, columns, filters = conv.output_shape
    for cell in [(0, 0, 0), (rows - 1, columns - 1, filters - 1), (rows // 2, 1, 2)]:
        for stage in (1, 2):  # the ReLU is explained with its convolution
            found = inside.explain(trace, stage, cell)
            products = sum(
                value * weight
                for value, weight in zip(np.ravel(found["window"]), np.ravel(found["kernel"]), strict=True)
            )
            assert found["stage"] == stage
            assert found["sum"] == pytest.approx(products, rel=1e-12)
            assert sum(found["sums"]) == pytest.approx(products, rel=1e-12)
            assert found["sum"] + found["bias"] == pytest.approx(stages[1][0][cell], rel=1e-12)
            assert found["relu"] == stages[2][0][cell]


def test_explain_conv_says_where_the_window_is():
    _, trace, stages = trace_of([Conv2D(1, 3, padding="same")], (5, 5, 1))
    found = inside.explain(trace, 1, (0, 4, 0))
    place = {name: found[name] for name in ("top", "left", "rows", "columns")}
    assert place == {"top": -1, "left": 3, "rows": 3, "columns": 3}
    expected = np.zeros((3, 3))
    expected[1:, :2] = stages[0][0, :2, 3:, 0]
    assert found["window"] == [expected.tolist()]


def test_explain_max_pool_names_the_winners_that_get_the_gradient():
    model = Sequential([Pool2D(2, padding="same")]).build((3, 3, 1), dtype=np.float64)
    x = np.array([[1.0, 2.0, 0.0], [2.0, 0.0, 0.0], [-3.0, -4.0, -5.0]]).reshape(1, 3, 3, 1)
    trace = Trace(model, x)
    first = inside.explain(trace, 1, (0, 0, 0))
    assert (first["window"], first["winners"], first["value"]) == ([[1, 2], [2, 0]], [[0, 1]], 2)
    corner = inside.explain(trace, 1, (1, 1, 0))  # only one cell of it is in the image
    assert (corner["window"], corner["winners"]) == ([[-5, None], [None, None]], [[0, 0]])
    model[0].ties = "all"
    assert inside.explain(Trace(model, x), 1, (0, 0, 0))["winners"] == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    "pool",
    [
        *(Pool2D(3, strides=2, padding="same", ties=ties) for ties in ("first", "all", "split")),
        Pool2D((2, 3), mode="avg", padding=((1, 0), (0, 2))),
        GlobalMaxPool2D(ties="split"),
        GlobalAveragePool2D(),
    ],
    ids=repr,
)
def test_the_shares_of_pooling_cells_add_up_to_the_gradient_of_its_backward(pool):
    model = Sequential([pool]).build((5, 6, 2), dtype=np.float64)
    x = np.random.default_rng(0).integers(-2, 2, (1, 5, 6, 2)).astype(float)  # with ties
    trace = Trace(model, x)
    dy = np.random.default_rng(1).normal(size=trace.outputs[0].shape)
    trace.backward(dy)
    dx = np.zeros((5, 6, 2))
    for cell in np.ndindex(*model.output_shape):
        found = inside.explain(trace, 1, cell)
        for (row, column), share in np.ndenumerate(found["shares"]):
            if share:
                dx[found["top"] + row, found["left"] + column, cell[-1]] += share * dy[0][cell]
    np.testing.assert_allclose(dx, trace.dx[0], rtol=1e-12, atol=1e-15)
    assert found["chain"] == [{"stage": 0} | found["chain"][0]]


def test_explain_dense_adds_up():
    model, trace, stages = trace_of([Flatten(), Dense(3), ReLU()], (4, 4, 2))
    found = inside.explain(trace, 3, (1,))
    products = stages[0].ravel() * model[1].kernel.value[:, 1]
    assert found["strongest"][0]["product"] == max(products, key=abs)
    total = sum(entry["product"] for entry in found["strongest"]) + found["rest"]
    assert total == pytest.approx(products.sum(), rel=1e-12)
    assert found["sum"] + found["bias"] == pytest.approx(stages[2][0, 1], rel=1e-12)
    assert (found["source"], found["relu"]) == (0, stages[3][0, 1])  # the maps before the Flatten
    for entry in found["strongest"]:
        assert stages[0][0][tuple(entry["cell"])] == entry["x"]


def test_explain_flatten_names_the_cell_that_it_copies():
    _, trace, stages = trace_of([Flatten()], (4, 5, 2))
    found = inside.explain(trace, 1, (17,))
    assert found["from"] == [1, 3, 1] == found["cells"][0]  # (1 * 5 + 3) * 2 + 1
    assert found["value"] == stages[0][0, 1, 3, 1]


def test_explain_subsample_multiplies_the_sum_of_the_block():
    _, trace, stages = trace_of([Subsample()], (4, 6, 2))
    found = inside.explain(trace, 1, (1, 2, 1))
    np.testing.assert_array_equal(found["window"], stages[0][0, 2:4, 4:6, 1])
    assert found["factor"] * np.sum(found["window"]) + found["bias"] == pytest.approx(
        found["value"], rel=1e-12
    )


@pytest.mark.parametrize("channel", [0, 3, 6])
def test_explain_local_response_norm_divides_by_its_neighbours(channel):
    _, trace, stages = trace_of([LocalResponseNorm(3, alpha=0.5)], (2, 2, 7))
    found = inside.explain(trace, 1, (1, 0, channel))
    squares = sum(entry["x"] ** 2 for entry in found["neighbours"])
    assert squares == pytest.approx(found["squares"], rel=1e-12)
    assert found["x"] / (2 + 0.5 * squares) ** 0.75 == pytest.approx(found["value"], rel=1e-12)
    assert [stages[0][0][tuple(cell)] for cell in found["cells"]] == [e["x"] for e in found["neighbours"]]


def test_explain_a_convolution_with_a_table_of_connections():
    _, trace, stages = trace_of([PartialConv2D([(0, 2), (1,), (0, 1, 2)], 3), ReLU()], (5, 5, 3))
    for filter_, channels in enumerate([[0, 2], [1], [0, 1, 2]]):
        found = inside.explain(trace, 1, (1, 2, filter_))
        assert found["channels"] == channels
        np.testing.assert_array_equal(found["window"][-1], stages[0][0, 1:4, 2:5, channels[-1]])
        assert np.sum(found["products"]) + found["bias"] == pytest.approx(found["value"], rel=1e-12)


def test_explain_batch_norm_by_its_running_statistics():
    model = Sequential([BatchNorm()]).build((3, 3, 2), dtype=np.float64)
    model[0].running_var.value = [4.0, 9.0]
    model[0].running_mean.value = model[0].gamma.value = model[0].beta.value = [2.0, -1.0]
    found = inside.explain(Trace(model, np.full((1, 3, 3, 2), 7.0)), 1, (0, 2, 1))
    assert (found["x"] - found["mean"]) / found["deviation"] * found["gamma"] + found[
        "beta"
    ] == pytest.approx(found["value"], rel=1e-12)
    assert found["value"] == pytest.approx((7 + 1) / 9.001**0.5 * -1 - 1, rel=1e-12)


def test_explain_global_pooling_activations_and_what_it_does_not_know():
    _, trace, stages = trace_of([Tanh(), GlobalMaxPool2D()], (3, 3, 2))
    assert inside.explain(trace, 1, (0, 1, 1))["x"] == stages[0][0, 0, 1, 1]
    found = inside.explain(trace, 2, (1,))
    assert (found["kind"], found["value"]) == ("max", np.max(found["window"]))
    _, trace, _ = trace_of([GlobalAveragePool2D()], (3, 3, 2))
    found = inside.explain(trace, 1, (0,))
    assert np.mean(found["window"]) == pytest.approx(found["value"], rel=1e-12)
    _, trace, stages = trace_of([Residual([Conv2D(2, 1)])], (3, 3, 2))
    found = inside.explain(trace, 1, (0, 0, 0))
    assert (found["kind"], found["value"]) == ("other", stages[1][0, 0, 0, 0])
