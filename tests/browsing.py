"""What the tests of pages in a real browser share."""

import contextlib
import functools
import http.server
import runpy
import shutil
import threading
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

needs_browser = pytest.mark.skipif(
    not (shutil.which("chromium") and shutil.which("chromedriver")),
    reason="Chromium is not installed: apt-get install chromium chromium-driver",
)

# The script that makes the picture for the README knows how to drive the page.
drive = runpy.run_path(str(Path(__file__).parents[1] / "examples" / "demo_picture.py"))
show, resize, draw, point_at, wait = (drive[name] for name in ("show", "resize", "draw", "point_at", "wait"))

SIZES = [(1024, 768), (1280, 600), (1366, 650), (1440, 900), (390, 844), (844, 390)]

# Whether an element is whole in the window, and on top.
IN_SIGHT = """
const box = arguments[0].getBoundingClientRect();
const top = document.elementFromPoint((box.left + box.right) / 2, (box.top + box.bottom) / 2);
return box.height > 0 && box.top >= 0 && box.left >= 0 && box.bottom <= innerHeight && box.right <= innerWidth
  && (arguments[0] === top || arguments[0].contains(top));"""

# The widths of the last elements of some selectors, if page and cards are in the window without scrolling.
WIDTHS_ON_ONE_SCREEN = """
const fits = (part, height, width) => part.scrollHeight <= height && part.scrollWidth <= width;
const cards = [...document.querySelectorAll("section")].filter((card) => card.offsetParent);
const boxes = arguments[0].map((one) => [...document.querySelectorAll(one)].at(-1)?.getBoundingClientRect());
const within = ({ top, left, bottom, right }) =>
  top >= 0 && left >= 0 && bottom <= innerHeight && right <= innerWidth;
return fits(document.documentElement, innerHeight, innerWidth)
  && cards.every((card) => fits(card, card.clientHeight, card.clientWidth))
  && boxes.every((box) => box?.width && within(box))
  && boxes.map((box) => box.width);"""


def find(browser, selector):
    """Return the first element."""
    return browser.find_element(By.CSS_SELECTOR, selector)


def find_all(browser, selector):
    """Return all elements."""
    return browser.find_elements(By.CSS_SELECTOR, selector)


def text_of(browser, selector):
    """Return the text of the first element at this moment; elements may be replaced at any time."""
    return browser.execute_script("return document.querySelector(arguments[0])?.textContent ?? ''", selector)


def answer_is(browser, text):
    """Wait until the page answers this."""
    wait(browser, lambda: find(browser, "#answer").text == text)


def press_l(browser):
    """Press the key of lecture mode."""
    browser.execute_script("document.activeElement?.blur()")
    find(browser, "body").send_keys("l")


def check_lecture_mode(browser, selectors):
    """Check that all is in a projector's window, in large type, and these parts in proportion."""
    press_l(browser)
    least = [0] * len(selectors)
    for width, height in ((1920, 1080), (3840, 2160)):
        resize(browser, width, height)

        def all_fit(least=least):
            widths = browser.execute_script(WIDTHS_ON_ONE_SCREEN, selectors) or least
            return all(width > one for width, one in zip(widths, least, strict=True)) and widths

        least = [1.8 * width for width in wait(browser, all_fit)]
        size = browser.execute_script("return parseFloat(getComputedStyle(document.body).fontSize)")
        assert size > height / 60
    press_l(browser)


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        """Log nothing."""


@contextlib.contextmanager
def served(folder):
    """Yield the address of a folder on a plain web server."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
