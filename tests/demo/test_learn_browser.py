"""The page on which networks learn, in a real browser."""

import re

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
    show,
    text_of,
    wait,
)
from selenium.webdriver.common.by import By

pytestmark = needs_browser


def open_page(place, query, width=1366, height=650, dark=False):
    """Open the page, and return the browser when a network is there."""
    browser, address = place
    resize(browser, width, height)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
    browser.get(f"{address}learn{query}")
    wait(browser, lambda: "Step" in text_of(browser, ".status") or text_of(browser, "#problem"))
    return browser


def status_number(browser, pattern, which=0):
    """Return a number of the line that says how far a network is."""
    lines = browser.execute_script(
        "return [...document.querySelectorAll('.status')].map((line) => line.textContent)"
    )
    found = re.search(pattern, lines[which]) if which < len(lines) else None
    return float(found[1].replace(",", "")) if found else 0.0


def step_is(browser, number, which=0):
    wait(browser, lambda: status_number(browser, r"Step ([\d,]+)", which) == number)


def choose(browser, name, value):
    """Choose a value in the form, as a user does."""
    browser.execute_script(
        "const input = document.querySelector(`[name='${arguments[0]}'], #${arguments[0]}`);"
        "input.value = arguments[1]; input.dispatchEvent(new Event('change', {bubbles: true}))",
        *(name, value),
    )


def query_of(browser):
    return browser.current_url.partition("?")[2]


def test_watch_a_network_learn_by_the_settings_in_the_address(place):
    browser = open_page(place, "?lr=0.04&seed=7&optimizer=nonsense&batch_size=&evil=1", 844, 390)
    wait(browser, lambda: text_of(browser, ".status") == "Step 0, epoch 0.00; random weights.")
    assert find(browser, "[name=seed]").get_attribute("value") == "7"
    assert query_of(browser) == "lr=0.04&seed=7"
    play = find(browser, "#play")
    play.click()
    for width, height in SIZES:  # while it learns
        resize(browser, width, height)
        for selector in ("#play", ".status"):
            assert browser.execute_script(IN_SIGHT, find(browser, selector)), (width, height, selector)
        browser.execute_script("document.getElementById('draw').scrollIntoView()")
        wait(browser, lambda: browser.execute_script(IN_SIGHT, find(browser, "#answers output")))
        browser.execute_script("scrollTo(0, 0)")
        assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    wait(browser, lambda: status_number(browser, r"accuracy ([\d.]+) %") > 70, 90)
    wait(browser, lambda: max(float(share.text.split()[0]) for share in find_all(browser, ".share")) > 50, 90)
    play.click()
    wait(browser, lambda: play.text == "Play")
    step = status_number(browser, r"Step ([\d,]+)")  # of the step that ran when it was paused
    find(browser, "#step").click()
    step_is(browser, step + 1)
    find(browser, "#back").click()
    step_is(browser, step)
    find(browser, "#back").click()
    wait(browser, lambda: "random weights" in text_of(browser, ".status"))
    assert browser.get_log("browser") == []


def test_the_link_of_the_first_page_shows_a_network_that_learns(place):
    browser, address = place
    show(browser, address, 1366, 650)
    find(browser, ".watch").click()
    wait(browser, lambda: browser.current_url.endswith("learn?seed=0"))
    wait(browser, lambda: status_number(browser, r"Step ([\d,]+)") > 0)
    find(browser, "#play").click()


def test_a_race_is_in_the_address_and_what_differs_is_marked(place):
    browser = open_page(place, "?images=100&race=1&b.lr=0.5&b.net=own&b.filters=2&b.units=")
    assert [line[0] for line in (one.text for one in find_all(browser, ".status"))] == ["A", "B"]
    assert query_of(browser) == "seed=0&images=100&race=1&b.lr=0.5&b.net=own&b.filters=2&b.units="
    labels = browser.execute_script(
        "const rows = [...document.querySelectorAll('.option.differs:not([hidden])')];"
        "return rows.map((row) => row.firstChild.textContent)"
    )
    assert labels == ["Learning rate", "Network", "Filters", "Dense layers"]
    weights = [text_of(browser, f".side-{side} summary") for side in "AB"]
    assert weights == ["61,706 weights in 12 layers", "3,982 weights in 5 layers"]  # 52 + 392 * 10 + 10
    find(browser, "#epoch").click()
    step_is(browser, 1, 0)
    step_is(browser, 1, 1)
    check_lecture_mode(browser, ["#play", "#accuracy", "#pad", ".side-A canvas", ".side-B canvas"])
    if not find(browser, "#race").is_displayed():  # there was no room for all settings
        find(browser, "#choices summary").click()
    find(browser, "#race").click()
    wait(browser, lambda: len(find_all(browser, ".status")) == 1)
    assert query_of(browser) == "seed=0&images=100"
    assert browser.get_log("browser") == []


@pytest.mark.campaign
def test_a_preset_provokes_a_dead_network_and_explains_it(place):
    browser = open_page(place, "?seed=0")
    choose(browser, "preset", "dead")
    wait(browser, lambda: query_of(browser) == "lr=0.5&seed=0&net=own")
    assert "far too large" in find(browser, "#about").text
    wait(browser, lambda: "107,786" in text_of(browser, ".net summary"))
    find(browser, "#play").click()
    wait(browser, lambda: "is dead" in text_of(browser, "#advice"), 60)
    assert "of 16 dead" in text_of(browser, ".gradients")
    choose(browser, "lr", "0.05")
    assert find(browser, "#preset").get_attribute("value") == ""
    find(browser, "#play").click()


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        pytest.param(
            *("?net=own&filters=64&pooling=none", "weights, and this page allows"),
            marks=pytest.mark.campaign,
        ),
        ("?data=own", "there are no images of your own yet"),
    ],
)
def test_what_the_server_refuses_is_said_and_can_be_mended(place, query, sentence):
    browser = open_page(place, query)
    assert sentence in text_of(browser, "#problem")
    choose(browser, "preset", "start")
    wait(browser, lambda: text_of(browser, ".status").startswith("Step 0"))
    wait(browser, lambda: text_of(browser, "#problem") == "")
    browser.get_log("browser")  # a refused request is an entry


def test_drawings_are_collected_learned_and_kept(place):
    browser = open_page(place, "?seed=0")
    browser.execute_script("localStorage.clear()")
    browser = open_page(place, "?seed=0&batch_size=1")
    find(browser, "#collection summary").click()
    wait(browser, lambda: text_of(browser, "#answers output").isdigit())
    find(browser, "#clear").click()
    wait(browser, lambda: text_of(browser, "#answers output") == "\N{EN DASH}")
    find(browser, "#add").click()
    assert text_of(browser, "#collected") == "Draw something first, or choose a picture."
    draw(browser, drive["SEVEN"])
    wait(browser, lambda: text_of(browser, "#answers output") != "\N{EN DASH}")
    browser.execute_script("document.getElementById('label').value = 7")
    find(browser, "#add").click()
    wait(browser, lambda: text_of(browser, "#collected") == "1 image (7: 1)")
    choose(browser, "data", "own")
    wait(browser, lambda: text_of(browser, "#net") == "1 image of your own.")
    find(browser, "#epoch").click()
    step_is(browser, 1)
    browser = open_page(place, "?data=own")
    assert text_of(browser, "#collected") == "1 image (7: 1)"
    find(browser, "#collection summary").click()
    find(browser, "#forget").click()
    wait(browser, lambda: text_of(browser, "#collected") == "None yet.")
    browser.get_log("browser")  # without drawings the server refuses to start


@pytest.mark.ci
@pytest.mark.parametrize(
    ("width", "dark"), [(390, True), pytest.param(1366, False, marks=pytest.mark.campaign)]
)
def test_every_control_has_a_name_and_the_keyboard_reaches_it(place, width, dark):
    browser = open_page(place, "?net=own&race=1", width, 844, dark)
    browser.execute_script("document.getElementById('choices').open = true")
    fields = find_all(browser, "#settings input, #settings select")
    assert len(fields) == 2 * 17
    for field in fields:
        assert field.accessible_name
        assert field.get_attribute("aria-describedby")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    browser.execute_script("document.querySelector('[name=lr]').focus()")
    assert text_of(browser, "#hint").startswith("Learning rate: ")
    assert browser.switch_to.active_element.tag_name == "input"
    assert find(browser, "#loss").find_element(By.XPATH, "..").tag_name == "figure"
