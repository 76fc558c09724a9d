"""Make demo.png: draw a 7 on the page of `minicnn demo` in Chromium, point at a cell, take a picture.

It needs the extras `demo` and `plot`, Selenium, and Chromium (Debian: chromium, chromium-driver).
"""

import argparse
import contextlib
import io
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from PIL import Image
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

SEVEN = [(0.28, 0.24), (0.45, 0.23), (0.7, 0.22), (0.66, 0.36), (0.58, 0.55), (0.5, 0.7), (0.44, 0.85)]
# The last line keeps the browser from asking its maker's servers for anything.
_SWITCHES = ("headless=new", "disable-dev-shm-usage", "hide-scrollbars", "disable-gpu", "no-first-run")
_SWITCHES += ("use-fake-device-for-media-stream", "use-fake-ui-for-media-stream")  # a camera for the tests
_SWITCHES += ("disable-background-networking", "disable-component-update", "disable-sync", "disable-quic")


@contextlib.contextmanager
def page():
    """Run `minicnn demo` on a free port; yield the page's address."""
    command = [sys.executable, "-m", "minicnn", "demo", "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            yield server.stdout.readline().split()[0]
        finally:
            server.terminate()  # Ctrl-C is ignored by what a shell starts in the background


@contextlib.contextmanager
def chromium():
    """Yield a headless browser."""
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in _SWITCHES:
        options.add_argument(f"--{argument}")
    if os.geteuid() == 0:  # root, as in a container, gets no sandbox
        options.add_argument("--no-sandbox")
    browser = webdriver.Chrome(options, webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        yield browser
    finally:
        browser.quit()


def show(browser, address, width, height, dark=False):
    """Open the page in a window of this size, and wait until the net is laid out."""
    resize(browser, width, height)
    features = {"prefers-color-scheme": "dark" if dark else "light", "prefers-reduced-motion": "reduce"}
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": name, "value": value} for name, value in features.items()]},
    )
    browser.get(address)
    wait(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".layer canvas"))


def resize(browser, width, height):
    """Give the window this size, in CSS pixels."""
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700},
    )


def wait(browser, condition, seconds=20):
    """Wait until a condition is true, and return what it said."""
    return WebDriverWait(browser, seconds, poll_frequency=0.02).until(lambda _: condition())


def draw(browser, points):
    """Draw a stroke on the pad with the mouse, through points in [0, 1]."""
    pad = browser.find_element(By.ID, "pad")
    side = pad.rect["width"]
    mouse = ActionChains(browser, duration=10)
    for number, point in enumerate(points):
        mouse.move_to_element_with_offset(pad, *(round((value - 0.5) * side) for value in point))
        if not number:
            mouse.click_and_hold()
    mouse.release().perform()


def point_at(browser, picture, row, column, map_=0):
    """Point at a cell of the n-th picture; return the panel that explains it, when it does."""
    canvas = browser.find_elements(By.CSS_SELECTOR, ".layer canvas")[picture]
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", canvas)
    # The pixels of a canvas are cells; two are between the maps, which here have as many columns as rows.
    size, width, height = browser.execute_script(
        "return [arguments[0].clientWidth, arguments[0].width, arguments[0].height]", canvas
    )
    side = browser.execute_script("return arguments[0].maps", canvas)
    across = (width + 2) // (side + 2)
    x, y = column + map_ % across * (side + 2), row + map_ // across * (side + 2)
    offset = (round((x + 0.5 - width / 2) * size / width), round((y + 0.5 - height / 2) * size / width))
    ActionChains(browser, duration=0).move_to_element_with_offset(canvas, *offset).perform()
    wanted = f"map {map_}, row {row}, column {column}"
    panel = browser.find_element(By.ID, "inspector")
    wait(browser, lambda: wanted in panel.text)
    return panel


def main():
    """Make the picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", default=Path(__file__).parent / "demo.png", metavar="FILE.png")
    args = parser.parse_args()
    with page() as address, chromium() as browser:
        show(browser, address, 1400, 960)
        draw(browser, SEVEN)
        wait(browser, lambda: browser.find_element(By.ID, "answer").text == "7")
        point_at(browser, 3, 8, 12, 4)
        browser.execute_script("scrollTo(0, 0)")
        time.sleep(0.3)  # the bars glide
        png = browser.get_screenshot_as_png()
    # 128 colours look the same and take a third of the bytes.
    Image.open(io.BytesIO(png)).convert("RGB").quantize(128).save(args.out, optimize=True)
    print(f"written to {args.out}")


if __name__ == "__main__":
    main()
