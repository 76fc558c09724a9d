"""Every view of the pages, looked at by axe-core: light, dark, and with forced colours."""

import os
from pathlib import Path

import pytest
from browsing import (
    answer_is,
    draw,
    drive,
    find,
    find_all,
    needs_browser,
    point_at,
    press_l,
    resize,
    served,
    show,
    text_of,
    wait,
)
from selenium.webdriver.common.keys import Keys

from minicnn.demo.export import export_page

AXE = os.environ.get("MINICNN_AXE", "")

pytestmark = [
    needs_browser,
    pytest.mark.skipif(
        not Path(AXE).is_file(),
        reason="MINICNN_AXE names no file axe.min.js: CONTRIBUTING.md says how to get it",
    ),
]

RUN = """
const done = arguments[0];
axe.run({ resultTypes: ["violations"] }).then(({ violations }) => done(violations.flatMap(
  ({ id, nodes }) => nodes.map((node) => `${id}: ${node.target} ${node.failureSummary}`))));"""
SCHEMES = {
    "light": {"prefers-color-scheme": "light"},
    "dark": {"prefers-color-scheme": "dark"},
    "forced colours": {"prefers-color-scheme": "dark", "forced-colors": "active"},
}


def press(browser, key):
    browser.switch_to.active_element.send_keys(key)


def inside(browser, address):
    show(browser, address, 1280, 600)


def seven(browser, address):
    inside(browser, address)
    draw(browser, drive["SEVEN"])
    answer_is(browser, "7")


def taught(browser, address):
    seven(browser, address)
    browser.execute_script("document.getElementById('label').value = 2")
    find(browser, "#step").click()
    wait(browser, lambda: "the loss went" in text_of(browser, "#lesson"))
    find(browser, "#forget").click()
    wait(browser, lambda: "as it was" in text_of(browser, "#lesson"))
    find(browser, "#flow").click()
    wait(browser, lambda: "The loss" in text_of(browser, "#lesson"))


def cell(browser, address):
    seven(browser, address)
    point_at(browser, 5, 6, 4, 4)


def on_a_phone(browser, address):
    cell(browser, address)
    resize(browser, 390, 844)


def lecture(browser, address):
    cell(browser, address)
    press(browser, "l")


def enlarged(browser, address):
    cell(browser, address)
    press(browser, "z")
    wait(browser, lambda: text_of(browser, "#enlarged .panel h2"))


def animated(browser, address):
    seven(browser, address)
    point_at(browser, 4, 2, 4, 4)
    press(browser, "b")
    wait(browser, lambda: find(browser, "#sweep").get_attribute("data-of"))
    press(browser, Keys.ARROW_RIGHT)


def formed(browser, address):
    seven(browser, address)
    find_all(browser, ".layer canvas")[9].send_keys(Keys.ARROW_RIGHT)
    wait(browser, lambda: text_of(browser, "#inspector h2") == "7 Dense: number 1")
    press(browser, "a")
    wait(browser, lambda: find(browser, "#sweep").get_attribute("data-of"))
    press(browser, Keys.ARROW_RIGHT)


def keys(browser, address):
    inside(browser, address)
    press(browser, "?")


def learn(browser, address):
    resize(browser, 1280, 600)
    browser.get(f"{address}learn")
    wait(browser, lambda: "Step 0" in text_of(browser, "#status"))
    find(browser, "#epoch").click()
    wait(browser, lambda: "accuracy" in text_of(browser, "#status") and find_all(browser, "#nets .layer"))
    find(browser, "#play").click()  # it pauses, so that nothing changes meanwhile


def race(browser, address):
    resize(browser, 390, 844)
    browser.get(f"{address}learn?net=own&filters=2&units=&race=1&b.optimizer=adam")
    wait(browser, lambda: "Step 0" in text_of(browser, "#status"))
    browser.execute_script("for (const part of document.querySelectorAll('details')) part.open = true")
    find(browser, "#step").click()
    wait(browser, lambda: "Step 1" in text_of(browser, "#status"))


def whatif(browser, address):
    resize(browser, 1280, 600)
    browser.get(f"{address}whatif?padding=same")
    wait(browser, lambda: find_all(browser, "#filters button") and find_all(browser, "#output canvas"))
    find(browser, "#output canvas").send_keys(Keys.ARROW_DOWN)
    wait(browser, lambda: text_of(browser, "#arithmetic h2"))
    find(browser, "#filters button").click()
    wait(browser, lambda: "filter off" in text_of(browser, "#told"))


def race_on_one_screen(browser, address):
    race(browser, address)
    resize(browser, 1920, 1080)
    press_l(browser)


def whatif_on_one_screen(browser, address):
    whatif(browser, address)
    resize(browser, 1920, 1080)
    press_l(browser)


VIEWS = [taught, inside, cell, on_a_phone, lecture, enlarged, animated, formed, keys]
VIEWS += [learn, race, race_on_one_screen, whatif, whatif_on_one_screen]


@pytest.mark.parametrize(
    "view",
    [
        pytest.param(view, id=view.__name__, marks=[pytest.mark.campaign] if view is not taught else [])
        for view in VIEWS
    ],
)
def test_axe_finds_no_violation(place, view):
    browser, address = place
    view(browser, address)
    assert violations(browser) == {name: [] for name in SCHEMES}


@pytest.mark.campaign
def test_axe_finds_no_violation_in_a_static_copy(place, opened, tmp_path):
    browser, _ = place
    export_page(opened, tmp_path)
    with served(tmp_path) as address:
        seven(browser, address)
        assert violations(browser) == {name: [] for name in SCHEMES}
        browser.get(f"{address}whatif.html")
        wait(browser, lambda: text_of(browser, "#answer").isdigit())
        assert violations(browser) == {name: [] for name in SCHEMES}


def violations(browser):
    """Return what axe-core finds, by the scheme of colours."""
    browser.execute_script(Path(AXE).read_text())
    browser.set_script_timeout(120)
    found = {}
    for name, features in SCHEMES.items():
        emulated = [{"name": one, "value": value} for one, value in features.items()]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": emulated})
        found[name] = browser.execute_async_script(RUN)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
    return found
