"""Lecture mode in a real browser: the whole net in the window, maps enlarged, windows that move."""

import numpy as np
import pytest
from browsing import (
    IN_SIGHT,
    answer_is,
    draw,
    drive,
    find,
    find_all,
    needs_browser,
    point_at,
    resize,
    show,
    text_of,
    wait,
)
from selenium.webdriver.common.keys import Keys

pytestmark = needs_browser

EVERYTHING_IN_THE_WINDOW = """
return [...document.querySelectorAll(".layer")].filter((layer) => layer.offsetParent).every((layer) => {
  const box = layer.getBoundingClientRect();
  return box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth;
});"""


SCALES_ARE_WHOLE = """
const right = (element) => element.getBoundingClientRect().right;
return [...document.querySelectorAll(".layer .scale")].every((scale) =>
  scale.textContent && right(scale) <= right(scale.closest("h3")) + 0.5);"""


@pytest.fixture(scope="module")
def drawn(place):
    """The browser with a 7 drawn on the page; each test leaves the page as it was."""
    browser, address = place
    show(browser, address, 1920, 1080)
    draw(browser, drive["SEVEN"])
    answer_is(browser, "7")
    return browser


@pytest.fixture(autouse=True)
def end(place):
    yield
    browser, _ = place
    press(browser, Keys.ESCAPE)
    wait(browser, lambda: not find_all(browser, "dialog[open]"))
    find(browser, "body").send_keys(Keys.ESCAPE)  # no cell is held
    assert browser.get_log("browser") == []


def press(browser, *keys):
    browser.switch_to.active_element.send_keys(*keys)


def sizes_of_maps(browser):
    return np.array([canvas.size["width"] for canvas in find_all(browser, ".layer canvas")[2:8]])


def number(element):
    return float(element.get_attribute("data-value"))


def number_in(text):
    return float(text.replace("\N{MINUS SIGN}", "-"))


def in_lecture_mode(browser):
    return find(browser, "#lecture").get_attribute("aria-pressed") == "true"


def test_one_key_shows_the_whole_net_in_large_type_and_a_cell_its_chain(drawn):
    usual = sizes_of_maps(drawn)
    press(drawn, "l")
    wait(drawn, lambda: in_lecture_mode(drawn))
    widths = {}
    for width, height in ((1920, 1080), (3840, 2160)):
        resize(drawn, width, height)
        wait(drawn, lambda: drawn.execute_script(EVERYTHING_IN_THE_WINDOW))
        assert drawn.execute_script(SCALES_ARE_WHOLE)
        type_ = find(drawn, "#answer-title").value_of_css_property("font-size")
        assert float(type_.removesuffix("px")) > height / 60
        widths[width] = sizes_of_maps(drawn)
    assert (widths[3840] > 1.8 * widths[1920]).all()
    point_at(drawn, 5, 3, 2, 9)  # of the second convolution
    mark = wait(drawn, lambda: find_all(drawn, ".layer:nth-child(1) .mark.seen"))[0]
    box, canvas = mark.rect, find(drawn, ".layer:nth-child(1) canvas").rect
    cell, edge = canvas["width"] / 28, 2
    # It sees the 5 pooled rows from 3 on: pixels 6 to 15, and 2 more on each side by the first kernel.
    seen = [box["y"] + edge - canvas["y"], box["x"] + edge - canvas["x"], box["height"] - 2 * edge]
    np.testing.assert_allclose(np.divide(seen, cell), [4, 2, 14], atol=0.05)
    find(drawn, "#step").click()
    wait(drawn, lambda: "the loss went" in text_of(drawn, "#lesson"))
    for selector in ("#change figure:last-child", "#forget", "#unstep"):
        assert drawn.execute_script(IN_SIGHT, find(drawn, selector)), selector
    find(drawn, "#forget").click()
    wait(drawn, lambda: drawn.execute_script(EVERYTHING_IN_THE_WINDOW))
    find(drawn, "body").send_keys("l")  # the button that had the focus is hidden now
    resize(drawn, 1920, 1080)
    wait(drawn, lambda: (sizes_of_maps(drawn) == usual).all())


def test_enlarge_a_map_and_animate_its_window_by_keys(drawn):
    value = point_at(drawn, 5, 6, 4, 4).find_element("css selector", "dd[data-name=value]").text
    press(drawn, "z")

    def cell_is(text):
        wait(drawn, lambda: text_of(drawn, "#enlarged .panel h2") == text)

    cell_is("3 Conv2D: map 4, row 6, column 4")
    assert find(drawn, "#enlarged-title").text == "3 Conv2D: map 4"
    assert find(drawn, "#enlarged canvas").size["height"] > 900  # of 1080
    tops = {grid.rect["y"] for grid in find_all(drawn, "#enlarged details[open] .grid:not(.bare)")}
    assert len(tops) == 1  # window, kernel and products side by side
    press(drawn, Keys.ARROW_UP, Keys.PAGE_DOWN)
    cell_is("3 Conv2D: map 5, row 5, column 4")
    press(drawn, Keys.PAGE_UP, Keys.ARROW_DOWN)
    cell_is("3 Conv2D: map 4, row 6, column 4")
    press(drawn, "a")
    wait(drawn, lambda: find(drawn, "#sweep").get_attribute("data-of") == "150")
    products = []
    for i in range(1, 4):
        press(drawn, Keys.ARROW_RIGHT)
        wait(drawn, lambda i=i: find(drawn, "#sweep").get_attribute("data-term") == str(i))
        products.append(number(find(drawn, "#sweep [data-name=products] .now")))
        assert number(find(drawn, "#sweep [data-name=sum]")) == pytest.approx(sum(products), abs=1e-12)
    press(drawn, Keys.ARROW_DOWN, Keys.ARROW_LEFT)  # the next window, and back to the end of this one
    bias, total = wait(drawn, lambda: find_all(drawn, "#sweep [data-name=end]"))[:2]
    formed = number(find(drawn, "#sweep [data-name=sum]"))
    assert formed + number(bias) == pytest.approx(number(total), rel=1e-6)
    assert number(total) == pytest.approx(float(value.replace("\N{MINUS SIGN}", "-")), abs=6e-5)


def steps_of(browser, count):
    wait(browser, lambda: find(browser, "#sweep").get_attribute("data-of") == str(count))


@pytest.mark.ci
def test_the_sum_of_a_dense_is_formed_from_its_strongest_products(drawn):
    find_all(drawn, ".layer canvas")[9].send_keys(*[Keys.ARROW_RIGHT] * 17)
    wait(drawn, lambda: text_of(drawn, "#inspector h2") == "7 Dense: number 17")
    value = number_in(text_of(drawn, "#inspector dd[data-name=value]"))
    press(drawn, "a")
    steps_of(drawn, 9)
    products = []
    for i in range(1, 4):
        press(drawn, Keys.ARROW_RIGHT)
        wait(drawn, lambda i=i: find(drawn, "#sweep").get_attribute("data-term") == str(i))
        products.append(number_in(text_of(drawn, "#sweep .steps .now").split("= ")[1]))
        assert number(find(drawn, "#sweep [data-name=sum]")) == pytest.approx(sum(products), abs=2e-4)
    press(drawn, Keys.ARROW_DOWN, Keys.ARROW_LEFT)  # the next output, and back to the end of this one
    bias, total = wait(drawn, lambda: find_all(drawn, "#sweep [data-name=end]"))[:2]
    formed = number(find(drawn, "#sweep [data-name=sum]"))
    assert formed + number(bias) == pytest.approx(number(total), rel=1e-5)
    assert number(total) == pytest.approx(value, abs=6e-5)
    press(drawn, Keys.PAGE_DOWN)
    wait(drawn, lambda: find(drawn, "#sweep .term-line").text.startswith("Output 19 of 120"))


GO_TO_THE_END = """
const [dialog, done] = arguments, { sweep } = dialog;
sweep.jump(sweep.cells - 1, -1).then(() => done([[...sweep.scene.sums], [...sweep.scene.goal.values]]));"""


def test_the_backward_pass_of_pooling_forms_the_gradient(drawn):
    drawn.execute_script("document.getElementById('label').value = 2")
    point_at(drawn, 7, 0, 0, 3)
    press(drawn, "z")
    wait(drawn, lambda: text_of(drawn, "#enlarged .panel h2"))
    press(drawn, "b")
    steps_of(drawn, 4)
    press(drawn, Keys.ARROW_RIGHT)
    formed, known = drawn.execute_async_script(GO_TO_THE_END, find(drawn, "#sweep"))
    assert np.count_nonzero(known) == np.count_nonzero(formed) > 3
    np.testing.assert_allclose(formed, known, rtol=1e-6)


@pytest.mark.ci
def test_the_backward_pass_of_a_convolution_forms_the_gradient(drawn):
    drawn.execute_script("document.getElementById('label').value = 2")
    point_at(drawn, 3, 0, 0, 0)  # the ReLU, whose gradient the convolution gets as its own stage has it
    press(drawn, "b")
    steps_of(drawn, 25)
    assert find(drawn, "#sweep-title").text == "0 Conv2D: map 0, backward pass"
    whole = np.zeros(28 * 28)
    for map_ in range(6):
        title = f"0 Conv2D: map {map_}, backward pass"
        wait(drawn, lambda title=title: find(drawn, "#sweep-title").text == title)
        steps_of(drawn, 25)
        formed, known = drawn.execute_async_script(GO_TO_THE_END, find(drawn, "#sweep"))
        whole += formed
        press(drawn, Keys.PAGE_DOWN)
    np.testing.assert_allclose(whole, known, atol=1e-6 * np.abs(known).max())
    assert np.abs(known).max() > 0


def test_keys_are_listed_and_can_be_switched_off(drawn):
    for works in (False, True):
        press(drawn, "?")
        wait(drawn, lambda: find(drawn, "#keys").is_displayed())
        find(drawn, "#keys input").click()
        press(drawn, Keys.ESCAPE)
        wait(drawn, lambda: not find_all(drawn, "dialog[open]"))
        find(drawn, "body").send_keys("l")
        assert in_lecture_mode(drawn) == works
    find(drawn, "body").send_keys("l")
