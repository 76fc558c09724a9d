import base64

import numpy as np
import pytest
from browsing import (
    IN_SIGHT,
    SIZES,
    check_lecture_mode,
    draw,
    drive,
    find,
    find_all,
    needs_browser,
    resize,
    text_of,
    wait,
)
from hypothesis import given
from hypothesis import strategies as st
from references import naive_conv2d
from selenium.webdriver.common.keys import Keys

from minicnn.demo import Session
from minicnn.demo.whatif import Window, filters, slide, without
from minicnn.layers import Conv2D, Dense, Flatten, ReLU, Sequential
from minicnn.ops.activations import softmax
from minicnn.runs import TrainConfig

IMAGE = np.random.default_rng(0).integers(0, 256, (28, 28, 1), dtype=np.uint8)


@given(st.data())
def test_slide_computes_what_a_loop_computes_at_the_size_of_the_formula(opened, data):
    size, stride, dilation = (data.draw(st.integers(1, most)) for most in (5, 3, 2))
    padding = data.draw(st.sampled_from(["valid", "same", 0, 1, 4]))
    kernel = np.random.default_rng(size).normal(size=(size, size))
    window = Window("conv", size, stride, dilation, padding, kernel.tolist())
    found = slide(opened, IMAGE, window, None)
    (rows, columns), y = found["axes"], found["y"]
    for axis, out in zip((rows, columns), y.shape, strict=False):
        around = axis["before"] + axis["after"]
        assert (axis["n"] + around - dilation * (size - 1) - 1) // stride + 1 == axis["out"] == out
    pads = ((rows["before"], rows["after"]), (columns["before"], columns["after"]))
    x = (IMAGE / 255)[np.newaxis]
    kernel = kernel[..., np.newaxis, np.newaxis]
    expected = naive_conv2d(x, kernel, np.zeros(1), (stride,) * 2, pads, (dilation,) * 2, 1)
    np.testing.assert_allclose(y, expected[0], rtol=1e-5, atol=1e-5)
    cell = (y.shape[0] - 1, y.shape[1] // 2, 0)
    explained = slide(opened, IMAGE, window, cell)
    assert explained["cell"]["sum"] == pytest.approx(float(y[cell]), rel=1e-5, abs=1e-5)


def test_slide_pools_and_says_so_of_each_channel():
    model = Sequential([Flatten(), Dense(2)]).build((4, 6, 3), rng=0)
    image = np.random.default_rng(1).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    session = Session(model, TrainConfig(dataset=""))
    found = slide(session, image, Window("avg", 2, 2), (1, 2, 1))
    means = (image / 255).reshape(2, 2, 3, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(found["y"], means, rtol=1e-6)
    assert found["cell"]["value"] == pytest.approx(means[1, 2, 1], rel=1e-6)
    kernel = [[1.0, 0.0], [0.0, -1.0]]
    found = slide(session, image, Window("conv", 2, kernel=kernel), None)
    x = (image / 255).sum(axis=2)
    np.testing.assert_allclose(found["y"][..., 0], x[:-1, :-1] - x[1:, 1:], rtol=1e-5, atol=1e-6)


def test_a_filter_that_is_off_is_one_whose_weights_are_zero():
    layers = [Conv2D(3, 3), ReLU(), Conv2D(4, 2), ReLU(), Flatten(), Dense(5)]
    model = Sequential(layers).build((8, 8, 1), rng=0)
    session = Session(model, TrainConfig(dataset=""))
    image = np.random.default_rng(1).integers(0, 256, (8, 8, 1), dtype=np.uint8)
    assert [(one.name, one.stage, one.maps) for one in filters(session)] == [
        ("0 Conv2D", 2, 3),
        ("2 Conv2D", 4, 4),
    ]
    found = without(session, image, [(2, 1), (4, 0), (4, 3)])
    np.testing.assert_array_equal(found["was"], softmax(model.predict(image[np.newaxis]))[0])
    for layer, off in ((0, [1]), (2, [0, 3])):
        for parameter in model[layer].parameters():
            weights = parameter.value.copy()
            weights[..., off] = 0
            parameter.value = weights
    np.testing.assert_allclose(found["now"], softmax(model.predict(image[np.newaxis]))[0], rtol=1e-6)
    assert not found["filters"][0]["values"][..., 1].any()
    assert abs(found["now"] - found["was"]).max() > 1e-4


def plain(element):
    return element.text.replace("\N{MINUS SIGN}", "-").replace("\N{MULTIPLICATION SIGN}", "x")


@needs_browser
def test_draw_a_kernel_and_turn_filters_off(place, opened):
    browser, address = place
    resize(browser, 1366, 650)
    browser.get(f"{address}whatif?size=3&stride=2&padding=same&dilation=nonsense&operation=conv")
    formula, output = find(browser, "#formula"), find(browser, "#output-size")
    wait(browser, lambda: plain(formula).endswith("(28 + 0 + 1 - 1·(3 - 1) - 1) / 2⌋ + 1 = 14"))
    wait(browser, lambda: plain(output).startswith("14x14, largest "))
    first = find(browser, "#kernel input")
    first.click()  # draws a 1
    assert first.get_attribute("value") == "1"
    first.send_keys(Keys.ARROW_RIGHT)
    browser.switch_to.active_element.send_keys(Keys.PAGE_UP)
    assert [one.get_attribute("value") for one in find_all(browser, "#kernel input")[:3]] == [
        "1",
        "0.25",
        "1",
    ]
    wait(browser, lambda: "kernel=1%2C0.25%2C1%2C-1" in browser.current_url)
    canvas = find(browser, "#output canvas")
    canvas.send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT)
    wait(browser, lambda: text_of(browser, "#arithmetic h2").startswith("Output: row 1, column 1:"))
    cells = find_all(browser, "#arithmetic [data-name=kernel] span")
    assert [float(cell.get_attribute("data-value")) for cell in cells] == [1, 0.25, 1, -1, 0, 1, -1, 0, 1]
    told = find(browser, "#told")
    for map_ in (0, 5):
        find_all(browser, "#filters .layer:first-child button")[map_].click()
        wait(browser, lambda n=map_: f"With {1 + (n > 0)} filter" in told.text)
    image = base64.b64decode(browser.execute_async_script(CURRENT_IMAGE))
    found = without(opened, np.frombuffer(image, np.uint8).reshape(28, 28, 1), [(2, 0), (2, 5)])
    best = int(found["now"].argmax())
    assert f"off: {best}, {100 * found['now'][best]:.1f} %." in told.text
    for width, height in SIZES:
        resize(browser, width, height)
        browser.execute_script("document.getElementById('draw').scrollTop = 0; scrollTo(0, 0)")
        assert browser.execute_script(IN_SIGHT, find(browser, "#answer")), (width, height)
        for selector, action in (("#arithmetic h2", "#output canvas"), ("#change figure", "#filters button")):
            browser.execute_script(
                "arguments[0].scrollIntoView({block: 'center'})", find_all(browser, action)[-1]
            )
            # What the pointer is over after the change of size may be explained anew.
            found = f"arguments[0] = document.querySelector(arguments[0]);{IN_SIGHT}"
            assert browser.execute_script(found, selector), (width, height, selector)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    check_lecture_mode(browser, ["#output canvas", "#filters canvas", "#arithmetic .grid", "#change figure"])
    assert browser.get_log("browser") == []


INK = """
const pad = document.getElementById("pad");
const { data } = pad.getContext("2d").getImageData(0, 0, pad.width, pad.height);
return data.filter((value, i) => i % 4 === 3 && value).length;"""


@needs_browser
def test_a_drawing_takes_the_place_of_an_image_that_nobody_chose(place):
    browser, address = place
    resize(browser, 1366, 650)
    browser.get(f"{address}whatif")
    wait(browser, lambda: text_of(browser, "#answer").isdigit())
    inks = []
    for _ in range(2):
        draw(browser, drive["SEVEN"])
        inks.append(browser.execute_script(INK))
        find(browser, "#clear").click()
    assert inks[0] == inks[1] > 0
    browser.get_log("browser")  # it warns of canvases that are read


CURRENT_IMAGE = """
const done = arguments[0], fetched = window.fetch;
window.fetch = (address, options) => {
  window.fetch = fetched;
  done(JSON.parse(options.body).image);
  return fetched(address, options);
};
document.querySelector("[name=stride]").dispatchEvent(new Event("change", { bubbles: true }));"""
