"""A static copy in a real browser, from a plain web server; its numbers are compared with the network's."""

import base64
import io
import json
import os
import re

import numpy as np
import pytest
from browsing import answer_is, draw, drive, find, find_all, needs_browser, point_at, served, show, wait
from PIL import Image
from selenium.webdriver.common.keys import Keys

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
    Tanh,
    Upsampling2D,
)
from minicnn.datasets import digit_from_pixels
from minicnn.datasets.image_reader import ImageReader
from minicnn.demo import Session, inside
from minicnn.demo.export import export_page, read_runtime
from minicnn.demo.export.rules import are_known, rules_of
from minicnn.demo.inputs import read_drawing
from minicnn.demo.whatif import Window, filters, slide, without
from minicnn.insight import Trace
from minicnn.models.historic.lenet5_1998 import PartialConv2D, Subsample
from minicnn.runs import TrainConfig

pytestmark = needs_browser
RUNTIME = os.environ.get("MINICNN_ONNXRUNTIME_WEB")  # a folder, or the file of `npm pack onnxruntime-web`
needs_runtime = pytest.mark.skipif(
    RUNTIME is None,
    reason="MINICNN_ONNXRUNTIME_WEB does not name onnxruntime-web: npm pack onnxruntime-web",
)


COPIES = ["script", pytest.param("course/alive", marks=needs_runtime)]


@pytest.fixture(scope="module")
def runtime():
    return None if RUNTIME is None else read_runtime(RUNTIME)


@pytest.fixture(scope="module")
def site(place, few, runtime, tmp_path_factory):
    """A browser, and the address of a site with copies: still/ and script/, course/alive/ with a runtime."""
    browser, _ = place
    folder = tmp_path_factory.mktemp("site")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("minicnn.demo.export.files._SCRIPT_MACS", 0)  # as if the network were large
        export_page(few, folder / "still")
    export_page(few, folder / "script")
    if runtime is not None:
        export_page(few, folder / "course" / "alive", runtime)
    (folder / "favicon.ico").touch()  # which browsers ask for beside the page's own icon
    with served(folder) as address:
        yield browser, address


def call(browser, code, *arguments):
    """Run JavaScript that may await; arrays come back as lists."""
    wrapped = f"""
const [done, args] = [arguments[arguments.length - 1], [...arguments].slice(0, -1)];
const answer = (value) => done(JSON.stringify(value));
(async () => {{ {code} }})().then(answer, (error) => answer({{ failed: String(error) }}));
"""
    found = json.loads(browser.execute_async_script(wrapped, *arguments))
    assert not (isinstance(found, dict) and "failed" in found), found
    return found


PARTIAL = [PartialConv2D([[0], [1, 0], [1]], 2), Subsample(), Tanh(1.7, 0.6)]
NETS = {
    "convolutions": lambda: [
        Conv2D(4, (3, 5), padding="same", strides=(2, 1)),
        ReLU(),
        Conv2D(6, 2, dilation=(2, 3), padding=((3, 1), (0, 2)), groups=2, use_bias=False),
        BatchNorm(),
        ReLU(),
        LocalResponseNorm(3, 2.0, 0.5, 0.75),
        Tanh(),
        Residual([Conv2D(6, 1)]),
        GlobalMaxPool2D(ties="all"),
        Dense(3),
    ],
    "pooling": lambda: [
        ReLU(),
        Pool2D(3, 2, "same", ties="split"),
        Pool2D((2, 3), 1, ((1, 0), (0, 2)), "avg"),
        Pool2D(2, 1, ((0, 1), (1, 1)), ties="all"),
        Dropout(0.3),
        Flatten(),
        BatchNorm(scale=False, center=False),
        Dense(12, use_bias=False),
        ReLU(),
        Dense(3),
    ],
    "average": lambda: [Conv2D(3, 2), GlobalAveragePool2D(), Dense(3)],
    "1998": lambda: [*PARTIAL, Flatten(), Dense(3)],
}


def traced(layers, shape):
    """Return a network with weights that are all different, and the trace of an image."""
    rng = np.random.default_rng(0)
    model = Sequential(layers).build(shape, rng=0)
    for parameter in model.parameters():
        parameter.value = parameter.value + abs(rng.normal(0, 0.02, parameter.shape))
    return model, Trace(model, rng.normal(size=(1, *shape)).astype("float32"))


def as_lists(weights, trace):
    """Return the weights and the stages of a trace, for JSON."""
    stages = [stage[0] for stage in (trace.x, *trace.outputs)]
    arrays = [{"shape": stage.shape, "values": stage.ravel().tolist()} for stage in stages]
    return np.frombuffer(weights.to_bytes(), "<f4").tolist(), arrays


def assert_same(found, expected, where=""):
    """Compare nested values; numbers to 1e-5."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), where
        for name, value in expected.items():
            assert_same(found[name], value, f"{where}.{name}")
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), where
        for number, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{where}[{number}]")
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-5, abs=1e-5), where
    else:
        assert found == expected, where


EXPLAIN = """
const [address, rules, weights, stages, cells] = args;
const { explain } = await import(address + "still/copy/arithmetic.js");
const arrays = stages.map(({ shape, values }) => ({ shape, values: Float32Array.from(values) }));
return cells.map(([stage, cell]) => explain(rules, Float32Array.from(weights), arrays, stage, cell));
"""


@pytest.mark.parametrize("name", NETS)
def test_the_arithmetic_of_each_cell_is_the_servers(site, name):
    browser, address = site
    browser.get(f"{address}still/")
    rng = np.random.default_rng(0)
    _, trace = traced(NETS[name](), (9, 8, 2))
    stages = [stage[0] for stage in (trace.x, *trace.outputs)]
    cells = []
    for stage, output in enumerate(stages[1:], start=1):
        ends = [(0,) * output.ndim, tuple(n - 1 for n in output.shape)]
        cells += [(stage, tuple(map(int, cell))) for cell in (*ends, rng.integers(output.shape))]
    rules, weights = rules_of(Sequential(trace.layers))
    found = call(browser, EXPLAIN, address, rules, *as_lists(weights, trace), cells)
    for (stage, cell), one in zip(cells, found, strict=True):
        expected = inside.explain(trace, stage, cell)
        if expected["kind"] == "dense":  # products that are nearly equal may come in another order
            for side in (one, expected):
                side["strongest"].sort(key=lambda part: part["input"])
        assert_same(one, expected, f"{name} {stage} {cell}")


GRADIENT = """
const [address, rules, weights, stages, last] = args;
const { gradientsOf } = await import(address + "still/copy/gradient.js");
const { outputsOf } = await import(address + "still/copy/forward.js");
const arrays = stages.map(({ shape, values }) => ({ shape, values: Float32Array.from(values) }));
const found = Float32Array.from(weights);
const both = [outputsOf(rules, arrays[0], found), gradientsOf(rules, found, arrays, last)];
return both.map((list) => list.map(({ values }) => [...values]));
"""
DIFFERENTIABLE = {
    "convolutions": lambda: [
        Conv2D(4, (3, 5), padding="same", strides=(2, 1)),
        LeakyReLU(0.2),
        Conv2D(6, 2, dilation=(2, 3), padding=((3, 1), (0, 2)), groups=2, use_bias=False),
        BatchNorm(),
        ReLU(),
        LocalResponseNorm(3, 2.0, 0.5, 0.75),
        GlobalMaxPool2D(),
        Dense(3),
    ],
    "pooling": lambda: [
        ReLU(),
        Pool2D(3, 2, "same", ties="split"),
        Pool2D((2, 3), 1, ((1, 0), (0, 2)), "avg"),
        Pool2D(2, 1, ((0, 1), (1, 1)), ties="all"),
        Dropout(0.3, inverted=False),
        Rescaling(0.5),
        Pool2D(2, 1),
        Sigmoid(),
        Flatten(),
        Dense(12, use_bias=False),
        Dense(3),
    ],
    "average": lambda: [Conv2D(3, 2), GlobalAveragePool2D(), Dense(3)],
    "1998": NETS["1998"],
    "curves": lambda: [
        ELU(0.7),
        Conv2D(3, 2),
        GELU(),
        PReLU(shared=False),
        SiLU(),
        Rescaling([0.5, 2, -1], 0.1),
        GELU(approximate=True),
        PReLU(),
        Flatten(),
        Dense(3),
    ],
    "branches": lambda: [
        Residual([Conv2D(4, 3, padding="same"), ReLU()], shortcut=[Conv2D(4, 1)]),
        Concatenate([Conv2D(2, 1), [], Sequential([Pool2D(3, 1, "same"), Residual([ELU()])])]),
        GlobalAveragePool2D(),
        Dense(3),
    ],
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_outputs_and_gradients_are_the_servers(site, name):
    browser, address = site
    browser.get(f"{address}still/")
    _, trace = traced(DIFFERENTIABLE[name](), (9, 8, 2))
    last = np.random.default_rng(1).normal(size=trace.outputs[-1].shape).astype("float32")
    expected = trace.backward(last)
    rules, weights = rules_of(Sequential(trace.layers))
    assert are_known(rules)
    outputs, found = call(browser, GRADIENT, address, rules, *as_lists(weights, trace), last[0].tolist())
    for output, values in zip(trace.outputs, outputs, strict=True):
        np.testing.assert_allclose(values, output.ravel(), rtol=1e-4, atol=1e-5 * np.abs(output).max())
    for gradient, values in zip([trace.dx, *expected], found, strict=True):
        np.testing.assert_allclose(values, gradient.ravel(), rtol=1e-4, atol=1e-5 * np.abs(gradient).max())


def test_layers_without_a_rule_are_known_as_such():
    model = Sequential([Residual([Upsampling2D(1)]), Flatten(), Dense(2)]).build((4, 4, 1), rng=0)
    assert not are_known(rules_of(model)[0])


SLIDE = """
const [address, x, windows] = args;
const { slide } = await import(address + "still/copy/whatif.js");
const refused = (error) => ({ refused: error.message });
return windows.map((window) => {
  try {
    const found = slide({ ...x, values: Float32Array.from(x.values) }, window);
    return { ...found, x: null, y: { shape: found.y.shape, values: [...found.y.values] } };
  } catch (error) { return refused(error); }
});
"""
WINDOWS = [
    Window("conv", 3, kernel=[[1.0, 0.5, -2.0], [0.0, 3.0, 0.25], [-1.0, 1.0, 0.5]]),
    Window("conv", 2, 3, 2, "same", [[1.5, -1.0], [0.5, 2.0]]),
    Window("conv", 1, 2, 1, 4, [[-0.5]]),
    Window("max", 3, 2, 1, "same"),
    Window("max", 2, 1, 1, 1),
    Window("avg", 3, 2, 1, 2),
    Window("avg", 2, 3),
]
FAR = Window("max", 2, 1, 1, 5)  # some windows cover padding only
OUTSIDE = Window("conv", 4, 1, 4, 0, [[0.1] * 4] * 4)  # spans 13 of 9 rows


def test_a_window_of_ones_own_gives_what_the_server_gives(site):
    browser, address = site
    browser.get(f"{address}still/whatif.html")
    model = Sequential([Flatten(), Dense(2)]).build((9, 8, 3), rng=0)
    session = Session(model, TrainConfig(dataset=""))
    image = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    cell = (0, 1, 0)
    x = {"shape": image.shape, "values": (image / 255).ravel().tolist()}
    asked = [vars(window) | {"cell": cell} for window in (*WINDOWS, OUTSIDE, FAR)]
    found = call(browser, SLIDE, address, x, asked)
    for window in (FAR, OUTSIDE):
        with pytest.raises(ValueError, match=re.escape(found.pop()["refused"])):
            slide(session, image, window, cell)
    for window, one in zip(WINDOWS, found, strict=True):
        expected = slide(session, image, window, cell)
        assert one["axes"] == expected["axes"]
        assert one["span"] == expected["span"]
        assert tuple(one["y"]["shape"]) == expected["y"].shape
        np.testing.assert_allclose(one["y"]["values"], expected["y"].ravel(), rtol=1e-5, atol=1e-5)
        del expected["cell"]["chain"]  # of stages, which a window has not
        assert_same(one["cell"], expected["cell"], str(window))


WITHOUT = """
const [address, off] = args;
const { ask } = await import(address + "static/server.js");
const { image } = await ask("example", { wrong: false });
const found = await ask("without", { image: image.data, off });
const lists = (one) => [...one.values];
return { image: lists(image), was: lists(found.was), now: lists(found.now),
  filters: found.filters.map((one) => ({ ...one, values: lists(one.values) })) };
"""


@pytest.mark.ci
def test_a_copy_turns_filters_off(site, few):
    browser, address = site
    off = [(2, 1), (2, 4), (5, 7)]
    assert [one.stage for one in filters(few)] == [2, 5]
    for copy in ["script", *(["course/alive"] if RUNTIME else [])]:
        browser.get(f"{address}{copy}/")
        found = call(browser, WITHOUT, f"{address}{copy}/", off)
        image = np.array(found["image"], np.uint8).reshape(few.inputs.shape)
        expected = without(few, image, off)
        for name in ("was", "now"):
            np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=1e-4)
        for one, known in zip(found["filters"], expected["filters"], strict=True):
            assert (one["name"], one["stage"]) == (known["name"], known["stage"])
            most = np.abs(known["values"]).max()
            np.testing.assert_allclose(one["values"], known["values"].ravel(), rtol=0, atol=1e-4 * most)


@pytest.mark.ci
@pytest.mark.parametrize("copy", ["still", *COPIES])
def test_the_view_what_if_works_in_a_copy(site, copy):
    browser, address = site
    show(browser, f"{address}{copy}/", 1366, 650)
    find(browser, "nav a[href='whatif.html']").click()
    wait(browser, lambda: find(browser, "#formula b").text == "26")
    if copy == "still":  # it cannot compute the layers behind a filter
        assert not find(browser, "#filters").is_displayed()
        assert not find(browser, "#answer").is_displayed()
    else:
        wait(browser, lambda: find(browser, "#answer").text.isdigit())
        find_all(browser, "#filters button")[0].click()
        wait(browser, lambda: "With 1 filter off" in find(browser, "#told").text)
    find_all(browser, "#output canvas")[0].send_keys(Keys.ARROW_RIGHT)
    wait(browser, lambda: find(browser, "#arithmetic h2").text.startswith("Output: row 0, column 1"))
    assert not find(browser, "nav [data-asks=learn]").is_displayed()
    assert find(browser, "#open").is_displayed() == (copy != "still")
    assert "static copy" in find(browser, "#net").text
    if copy != "still":
        find(browser, "#clear").click()  # the pad shows a test image
        draw(browser, drive["SEVEN"])
        answer_is(browser, "7")
    find(browser, "nav a[href='./']").click()
    wait(browser, lambda: find_all(browser, "#layers"))
    assert browser.get_log("browser") == []


DRAWINGS = """
const [address, drawings] = args;
const { readDrawing } = await import(address + "still/copy/inputs.js");
const found = { net: { input: [32, 30, 1] }, input: { drawing: "mnist-digit" } };
return drawings.map((values) => [...readDrawing(Uint8Array.from(values), found) ?? []]);
"""


def drawing(rng):
    """Return a pad with a thick line through random points."""
    image = np.zeros((140, 140), np.uint8)
    rows, columns = np.mgrid[:140, :140]
    points = rng.uniform(0, 140, (rng.integers(1, 4), 2))
    for start, end in zip(points, np.roll(points, 1, axis=0), strict=True):
        for t in np.linspace(0, 1, 40):
            row, column = start + t * (end - start)
            distance = np.hypot(rows - row, columns - column)
            image = np.maximum(image, (255 * np.clip(6 - distance, 0, 1)).astype(np.uint8))
    return image


def test_drawings_become_the_same_inputs(site):
    browser, address = site
    browser.get(f"{address}still/")
    rng = np.random.default_rng(0)
    drawings = [np.zeros((140, 140), np.uint8), *(drawing(rng) for _ in range(8))]
    empty, *found = call(browser, DRAWINGS, address, [image.ravel().tolist() for image in drawings])
    assert empty == []
    for image, values in zip(drawings[1:], found, strict=True):
        expected = np.pad(read_drawing(image)[..., 0], ((2, 2), (1, 1)))
        np.testing.assert_array_equal(np.reshape(values, (32, 30)), expected)


PICTURES = """
const [address, files, settings] = args;
const { pictureReader } = await import(address + "still/copy/inputs.js");
return Promise.all(files.map(async (file, i) => [...await pictureReader(settings[i])(file)]));
"""


def png(pixels):
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def test_pictures_become_the_same_inputs(site, tmp_path):
    browser, address = site
    browser.get(f"{address}still/")
    rng = np.random.default_rng(0)
    files, settings, expected = [], [], []
    for size, resize, shape in [
        ((40, 61), "crop", (16, 12, 3)),
        ((40, 61), "pad", (16, 12, 3)),
        ((9, 5), "crop", (16, 12, 1)),
        ((9, 5), "pad", (16, 16, 1)),
        ((16, 12), "crop", (16, 12, 3)),
    ]:
        pixels = rng.integers(0, 256, (*size, 4), np.uint8)
        pixels[..., 3] = np.where(rng.random(size) < 0.2, 0, 255)  # browsers round half transparent colours
        pixels[pixels[..., 3] == 0] = 0
        background = (10, 200, 30)
        files.append(png(pixels))
        (tmp_path / "picture.png").write_bytes(base64.b64decode(files[-1]))
        expected.append(ImageReader(shape[:2], shape[2], resize, background)(tmp_path / "picture.png"))
        picture = {"resize": resize, "background": background, "scale": None}
        settings.append({"net": {"input": shape}, "input": {"picture": picture}})
    # A photo of a digit in uneven light.
    rows, columns = np.mgrid[:300, :200]
    paper = 200 + 0.1 * rows - 0.0005 * columns**2 + rng.normal(0, 2, rows.shape)
    paper[60:240, 90:110] -= 120
    photo = paper.clip(0, 255).astype(np.uint8)
    files.append(png(np.dstack([photo] * 3)))
    settings.append({"net": {"input": (28, 28, 1)}, "input": {"picture": "mnist-digit"}})
    expected.append(digit_from_pixels(photo))
    for found, image in zip(call(browser, PICTURES, address, files, settings), expected, strict=True):
        np.testing.assert_array_equal(np.reshape(found, image.shape), image)


def test_recorded_images_are_shown_without_a_runtime(site, few):
    browser, address = site
    show(browser, address + "still/", 1400, 900)
    wait(browser, lambda: "labelled" in find(browser, "#source").text)  # the page begins with an image
    wait(browser, lambda: find(browser, "#answer").text.isdigit())
    find(browser, "#wrong").click()
    wait(browser, lambda: "misclassifies" in find(browser, "#source").text)
    for selector in ("#open", "#step", "#view", ".watch", "#speaks", "#undo"):
        assert not find(browser, selector).is_displayed(), selector
    assert "recorded images" in find(browser, "#net").text
    point_at(browser, 2, 8, 12, 4)
    assert browser.get_log("browser") == []
    seen = call(browser, LOOK, address + "still/", None)
    assert_looks_like(few, seen, 1e-4)


def test_a_copy_opened_as_a_file_says_what_it_needs(place, few, tmp_path):
    browser, _ = place
    export_page(few, tmp_path)
    browser.get((tmp_path / "index.html").as_uri())
    wait(browser, lambda: "This page needs a web server" in find(browser, "#problem").text)
    browser.get_log("browser")  # the modules that it may not load


LOOK = """
const [address, pixels] = args;
const { ask } = await import(address + "static/server.js");
const given = pixels ? { pixels } : { image: (await ask("example", { wrong: false })).image.data };
const seen = await ask("look", given);
const cell = await ask("cell", { image: seen.image.data, stage: 4, cell: [3, 4, 5] });
const label = (seen.answer + 1) % 10;
const back = seen.gradient && await ask("backward", { image: seen.image.data, label });
const lists = (one) => [...one.values];
const [image, probabilities] = [lists(seen.image), lists(seen.probabilities)];
const gradient = seen.gradient && lists(seen.gradient);
const found = { ...seen, cell, image, stages: seen.stages.map(lists), probabilities, gradient };
return back ? { ...found, back: { loss: back.loss, stages: back.stages.map(lists) } } : found;
"""


def assert_looks_like(session, seen, tolerance):
    """Compare all that a copy computes with what the server does, by the largest number of each stage."""
    image = np.array(seen["image"], np.uint8).reshape(session.inputs.shape)
    expected = session.look(image)
    assert seen["answer"] == expected["answer"]
    np.testing.assert_allclose(seen["probabilities"], expected["probabilities"], atol=1e-4)
    for values, stage in zip(seen["stages"], expected["stages"], strict=True):
        np.testing.assert_allclose(values, stage.ravel(), rtol=0, atol=tolerance * np.abs(stage).max())
    if "back" in seen:
        backward = session.backward(image, (seen["answer"] + 1) % 10)  # of the answer, it may be next to 0
        assert seen["back"]["loss"] == pytest.approx(backward["loss"], rel=1e-4)
        pairs = [(seen["gradient"], expected["gradient"])]
        for values, gradient in [*pairs, *zip(seen["back"]["stages"], backward["stages"], strict=True)]:
            atol = 10 * tolerance * np.abs(gradient).max()
            np.testing.assert_allclose(values, gradient.ravel(), rtol=0, atol=atol)
    cell = session.explain(image, 4, (3, 4, 5))
    for name in ("sum", "bias", "value"):
        atol = tolerance * np.abs(expected["stages"][4]).max()
        np.testing.assert_allclose(seen["cell"][name], cell[name], rtol=0, atol=atol)


@pytest.mark.parametrize("copy", COPIES)
def test_the_browser_computes_what_the_server_does(site, few, copy):
    browser, address = site
    show(browser, f"{address}{copy}/", 1400, 900)
    draw(browser, drive["SEVEN"])
    answer_is(browser, "7")
    panel = point_at(browser, 2, 8, 12, 4)
    assert find(panel, "dd[data-name=sum]").text
    for selector in ("#step", "#unstep", ".watch"):
        assert not find(browser, selector).is_displayed(), selector
    find(browser, "#classes li:nth-child(4) button").click()
    wait(browser, lambda: find(browser, "#speaks").text == "For and against 3")
    find(browser, "#flow").click()
    wait(browser, lambda: "The loss" in find(browser, "#lesson").text)
    pixels = base64.b64encode(drawing(np.random.default_rng(1)).tobytes()).decode()
    for given in (pixels, None):
        assert_looks_like(few, call(browser, LOOK, f"{address}{copy}/", given), 1e-6)
    find(browser, "#wrong").click()
    wait(browser, lambda: "misclassifies" in find(browser, "#source").text)
    assert browser.get_log("browser") == []


COLOURS = """
const [address, file] = args;
const { ask } = await import(address + "static/server.js");
const { image } = await ask("picture", { file });
const seen = await ask("look", { image: image.data });
const refused = await ask("step", {}).catch((error) => error.message);
return { image: [...image.values], logits: [...seen.stages.at(-1).values], refused };
"""


@needs_runtime
def test_any_net_its_colours_and_its_names(site, runtime, tmp_path):
    browser, _ = site
    layers = [Conv2D(4, 3, padding="same"), BatchNorm(), ReLU(), Pool2D(2), Residual([Conv2D(4, 1)])]
    model = Sequential([*layers, GlobalAveragePool2D(), Dense(3)]).build((12, 16, 3), rng=0)
    model.class_names = names = ["apple", "pear", "plum"]
    model.preprocessing = {
        "resize": "pad",
        "background": [9, 9, 9],
        "scale": [0.01, 0.02, 0.03],
        "offset": -1,
    }
    session = Session(model, TrainConfig(dataset=""))
    export_page(session, tmp_path, runtime)
    file = png(np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8))
    expected = session.inputs.from_picture(base64.b64decode(file))
    with served(tmp_path) as address:
        show(browser, address, 390, 800)
        assert [item.text.split()[0] for item in find_all(browser, "#classes li")] == names
        seen = call(browser, COLOURS, address, file)
        np.testing.assert_allclose(np.reshape(seen["image"], expected.shape), expected, rtol=1e-6)
        np.testing.assert_allclose(seen["logits"], session.look(expected)["stages"][-1], rtol=1e-5, atol=1e-6)
        assert "needs `minicnn demo`" in seen["refused"]
        assert browser.get_log("browser") == []
