"""The page in a real browser; what it shows is compared with the net's own numbers."""

import re

import numpy as np
import pytest
from browsing import (
    IN_SIGHT,
    SIZES,
    answer_is,
    draw,
    drive,
    find,
    needs_browser,
    point_at,
    resize,
    show,
    wait,
)
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from minicnn.runs.page import page, paragraph

pytestmark = needs_browser

MINUS, NOTHING = "\N{MINUS SIGN}", "\N{EN DASH}"  # as the page writes them


@pytest.fixture(scope="module")
def session(opened):
    return opened


def numbers(panel, name):
    """Return the numbers of a grid, to the full precision that the page has."""
    cells = panel.find_elements(By.CSS_SELECTOR, f"[data-name={name}] span")
    exact = np.array([float(cell.get_attribute("data-value")) for cell in cells])
    written = np.array([float(cell.text.replace(MINUS, "-")) for cell in cells])
    np.testing.assert_allclose(written, exact, atol=0.00501)
    return exact


def total(panel, name):
    return float(find(panel, f"dd[data-name={name}]").text.replace(MINUS, "-"))


STROKE = """
const pad = document.getElementById("pad"), box = pad.getBoundingClientRect();
for (const [type, pointerId, x, y] of arguments[0]) {
  if (type === "click") document.getElementById(pointerId).click();
  else pad.dispatchEvent(new PointerEvent(`pointer${type}`,
    { pointerId, clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true }));
}"""


@pytest.mark.ci
def test_drawing_badly_is_no_error(place):
    browser, address = place
    show(browser, address, 1400, 900)
    find(browser, "#pad").click()  # a dot
    wait(browser, lambda: find(browser, "#answer").text != NOTHING)
    for button in ("clear", "undo"):  # in the middle of a stroke
        touches = [("down", 1, 0.3, 0.3), ("move", 1, 0.6, 0.3), ("click", button), ("move", 1, 0.6, 0.6)]
        browser.execute_script(STROKE, touches)
    find(browser, "#clear").click()
    answer_is(browser, NOTHING)
    # A second finger ends nothing: the first goes on from the bar of the 7 to its stem.
    one, other = [("down", 1, 0.28, 0.24), ("move", 1, 0.7, 0.22)], [("down", 2, 0, 0.9), ("up", 2, 0, 0.9)]
    stem = [("move", 1, 0.58, 0.55), ("move", 1, 0.44, 0.85), ("up", 1, 0.44, 0.85)]
    browser.execute_script(STROKE, [*one, *other, *stem])
    answer_is(browser, "7")
    assert browser.get_log("browser") == []


@pytest.mark.ci
@pytest.mark.parametrize("width", [390, pytest.param(768, marks=pytest.mark.ci)])
def test_the_panel_hides_no_picture_that_has_the_focus(place, width):
    browser, address = place
    show(browser, address, width, 800)
    draw(browser, drive["SEVEN"])
    answer_is(browser, "7")
    find(browser, "[value=forward]").send_keys("")
    panel = find(browser, "#inspector")
    for picture in browser.find_elements(By.CSS_SELECTOR, ".layer canvas[tabindex]"):
        browser.switch_to.active_element.send_keys(Keys.TAB)
        assert browser.switch_to.active_element == picture
        name = picture.get_attribute("aria-label").split(",")[0]
        wait(browser, lambda name=name: panel.text.startswith("Close\n" + name))
        bottom = browser.execute_script("return arguments[0].getBoundingClientRect().bottom", picture)
        assert bottom <= browser.execute_script("return arguments[0].getBoundingClientRect().top", panel)


def test_a_screen_reader_hears_short_sentences_when_the_pen_rests(place):
    browser, address = place
    show(browser, address, 1400, 900)
    regions = browser.find_elements(By.CSS_SELECTOR, "[aria-live=polite]")
    assert {region.get_attribute("id") for region in regions} == {"source", "lesson", "spoken"}
    assert find(browser, "#answer").get_attribute("aria-live") == "off"
    draw(browser, drive["SEVEN"])
    spoken = find(browser, "#spoken")
    wait(browser, lambda: spoken.get_attribute("textContent").startswith("Answer 7, "))
    browser.find_elements(By.CSS_SELECTOR, ".layer canvas")[2].send_keys(Keys.ARROW_RIGHT)
    wait(browser, lambda: "map 0, row 0, column 1: 0" in spoken.get_attribute("textContent"))


@pytest.mark.parametrize(("width", "dark"), [(1400, False), pytest.param(390, True, marks=pytest.mark.ci)])
def test_draw_a_seven_and_check_the_arithmetic_of_a_cell(place, session, width, dark):
    browser, address = place
    show(browser, address, width, 900, dark)
    draw(browser, drive["SEVEN"])
    answer_is(browser, "7")
    panel = point_at(browser, 3, 8, 12, 4)  # of the first ReLU
    kernel, bias = session.model[0].kernel.value[..., 0, 4], session.model[0].bias.value[4]
    window = numbers(panel, "window")
    np.testing.assert_allclose(numbers(panel, "kernel"), kernel.ravel(), rtol=1e-6)
    assert window.any()
    assert total(panel, "sum") == pytest.approx(window @ kernel.ravel(), abs=6e-5)
    assert total(panel, "bias") == pytest.approx(bias, abs=6e-5)
    assert total(panel, "value") == pytest.approx(window @ kernel.ravel() + bias, abs=6e-5)
    assert total(panel, "relu") == total(panel, "value") > 0
    panel = point_at(browser, 4, 6, 5, 1)  # of the first pooling
    window = numbers(panel, "window")
    (winner,) = panel.find_elements(By.CSS_SELECTOR, ".winner")
    assert float(winner.get_attribute("data-value")) == window.max()
    assert total(panel, "value") == pytest.approx(window.max(), abs=6e-5)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.get_log("browser") == []


def test_the_result_of_an_action_is_in_sight_at_all_sizes(place):
    browser, address = place
    show(browser, address, 1440, 900)
    draw(browser, drive["SEVEN"])
    answer_is(browser, "7")
    browser.execute_script("document.getElementById('label').value = 2")
    lesson, steps = find(browser, "#lesson"), 0
    for width, height in SIZES:
        resize(browser, width, height)
        browser.execute_script("document.getElementById('draw').scrollTop = 0; scrollTo(0, 0)")
        assert browser.execute_script(IN_SIGHT, find(browser, "#answer")), (width, height)
        for button, text in (("step", "the loss went from"), ("flow", "is ")):
            steps += button == "step"
            browser.execute_script(
                "arguments[0].scrollIntoView({block: 'nearest'}); arguments[0].click()",
                find(browser, f"#{button}"),
            )
            wait(browser, lambda text=text: text in lesson.text)
            for selector in ("#lesson", "#change figure:last-child"):
                assert browser.execute_script(IN_SIGHT, find(browser, selector)), (width, height, selector)
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
        wait(browser, lambda count=steps: f"network {count} step" in find(browser, "#count").text)
    find(browser, "#forget").click()
    wait(browser, lambda: "as it was" in lesson.text and not find(browser, "#taught").is_displayed())
    assert browser.get_log("browser") == []


# The background of a picture and of a cell of its arithmetic, now; they are kept when the page is printed.
SHADES = """
const shades = () => {
  const canvas = document.querySelectorAll(".layer canvas")[2];
  return [[...canvas.getContext("2d").getImageData(0, 0, 1, 1).data].slice(0, 3).join(" "),
    getComputedStyle(document.querySelector("#inspector [data-value='0']")).backgroundColor];
};
addEventListener("beforeprint", () => { window.printed = shades(); });
return shades();"""


def test_paper_is_light_also_where_the_page_is_dark(place):
    browser, address = place
    show(browser, address, 1400, 900, dark=True)
    draw(browser, drive["SEVEN"])
    answer_is(browser, "7")
    point_at(browser, 3, 0, 0, 4)
    before = browser.execute_script(SHADES)
    browser.execute_cdp_cmd("Page.printToPDF", {})
    first, cell = browser.execute_script("return window.printed")
    assert cell == "rgb(241, 241, 238)" != before[1]  # --zero of style.css
    assert min(map(int, first.split())) > 180 > 90 > max(map(int, before[0].split()))
    assert browser.execute_script(SHADES) == before
    browser.get_log("browser")  # it warns of canvases that are read


def test_a_report_is_printed_in_light_colours_without_links(place, tmp_path):
    browser, _ = place
    file = tmp_path / "report.html"
    file.write_text(page("Run", "lead", [("Part", [paragraph("text")])]))
    browser.get(file.as_uri())
    looks = {}
    for media in ("screen", "print"):
        dark = [{"name": "prefers-color-scheme", "value": "dark"}]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": media, "features": dark})
        colour = find(browser, "body").value_of_css_property("background-color")
        looks[media] = colour.startswith("rgba(255, 255, 255"), find(browser, "nav").is_displayed()
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})
    assert looks == {"screen": (False, True), "print": (True, False)}


def test_teach_a_step_and_take_it_back(place, session):
    browser, address = place
    before = session.model.get_weights()
    show(browser, address, 1400, 900)
    draw(browser, drive["SEVEN"])
    answer_is(browser, "7")
    browser.execute_script("document.getElementById('label').value = 2")
    find(browser, "#flow").click()
    wait(browser, lambda: "The loss" in find(browser, "#lesson").text)
    assert find(browser, "[value=backward]").is_selected()
    find(browser, "#step").click()
    wait(browser, lambda: find(browser, "#unstep").is_enabled())
    losses = [float(value.text) for value in browser.find_elements(By.CSS_SELECTOR, ".losses .value")]
    assert losses[1] < losses[0]
    taught = find(browser, "#change .taught").get_attribute("title")
    assert re.fullmatch(r"2: \S+ % before, \S+ % after", taught)
    find(browser, "#unstep").click()
    wait(browser, lambda: "as it was" in find(browser, "#lesson").text)
    # The net that was opened is that of all other browsers: it is never taught.
    for was, now in zip(before, session.model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert browser.get_log("browser") == []


def test_the_keyboard_alone_draws_and_walks_the_pictures(place):
    browser, address = place
    show(browser, address, 1400, 900)
    pad = find(browser, "#pad")
    pad.send_keys(*([Keys.ARROW_UP] * 4), " ", *([Keys.ARROW_DOWN] * 24), " ")
    answer_is(browser, "1")
    canvas = browser.find_elements(By.CSS_SELECTOR, ".layer canvas")[2]
    canvas.send_keys(Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.PAGE_DOWN)
    panel = find(browser, "#inspector")
    wait(browser, lambda: "map 1, row 1, column 2" in panel.text)
    canvas.send_keys(Keys.ESCAPE)
    wait(browser, lambda: "Point at a cell" in panel.text)
    pad.send_keys(Keys.BACKSPACE)
    answer_is(browser, NOTHING)
    assert browser.get_log("browser") == []


def test_examples_come_with_their_label(place):
    browser, address = place
    show(browser, address, 1400, 900)
    find(browser, "#wrong").click()
    wait(browser, lambda: "labelled" in find(browser, "#source").text)
    label = re.search(r"labelled (.)\. The network misclassifies", find(browser, "#source").text)[1]
    wait(browser, lambda: find(browser, "#answer").text not in (NOTHING, label))
    assert find(browser, "#label").get_attribute("value") == label
    draw(browser, drive["SEVEN"])  # on top of it: the label was the image's
    wait(browser, lambda: find(browser, "#source").text == "")
    assert find(browser, "#label").get_attribute("value") == ""
    find(browser, "#classes li:nth-child(4) button").click()
    wait(browser, lambda: find(browser, "#speaks").text == "For and against 3")
    assert browser.get_log("browser") == []
