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
