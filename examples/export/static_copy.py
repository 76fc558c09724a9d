"""Measure a static copy of the demo's page: what it loads, when it answers, and how its numbers differ.

It exports the included network by `minicnn demo --export`, opens the copy in Chromium from a plain web
server, draws digits, and compares the outputs of all layers with those of the server. It needs the extras
`demo`, `onnx` and `plot`, Selenium, Chromium, and onnxruntime-web, which npm fetches, or --runtime names.
"""

import argparse
import base64
import functools
import http.server
import statistics
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from selenium.webdriver.common.by import By

sys.path.insert(0, str(Path(__file__).parents[1]))
from demo_picture import SEVEN, chromium, draw, page, show, wait

LOADED = """
const files = performance.getEntriesByType("resource").map(({ name, transferSize }) => [name, transferSize]);
return [...files, ["index.html", performance.getEntriesByType("navigation")[0].transferSize]];
"""
TIME = "return document.body.dataset.milliseconds"
LOOK = """
const [pixels, done] = arguments;
import(`${location.href}static/api.js`).then(async ({ ask, unpack }) => {
  const { stages } = await ask("look", { pixels });
  done(stages.map((stage) => [...unpack(stage).values]));
});
"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain web server that logs nothing."""

    def log_message(self, *args):
        """Log nothing."""


def stroke(rng):
    """Return a stroke through random points in [0, 1]."""
    return [tuple(point) for point in rng.uniform(0.15, 0.85, (4, 2))]


def pad_of(points):
    """Return what the pad has after a stroke, grey values in base64."""
    image = Image.new("L", (140, 140))
    ImageDraw.Draw(image).line([(140 * x, 140 * y) for x, y in points], fill=255, width=11, joint="curve")
    return base64.b64encode(image.tobytes()).decode()


def times(browser, rng, count):
    """Draw strokes one after the other; return the milliseconds from each stroke to its pictures."""
    found = []
    for _ in range(count):
        browser.find_element(By.ID, "clear").click()
        browser.execute_script("document.body.dataset.milliseconds = ''")
        draw(browser, stroke(rng))
        found.append(float(wait(browser, lambda: browser.execute_script(TIME))))
    return found


def outputs(browser, address, drawings):
    """Return what a page at this address gets as the outputs of all layers, for each drawing."""
    browser.get(address)
    return [browser.execute_async_script(LOOK, drawing) for drawing in drawings]


def difference(ours, theirs):
    """Return the largest difference of outputs, each relative to its layer's largest number."""
    pairs = [pair for both in zip(ours, theirs, strict=True) for pair in zip(*map(list, both), strict=True)]
    return max(np.abs(np.subtract(one, other)).max() / np.abs(other).max() for one, other in pairs)


def export(folder, runtime):
    """Write a static copy of the page."""
    command = [sys.executable, "-m", "minicnn", "demo", "--export", folder]
    subprocess.run([*command, *(["--runtime", runtime] if runtime else [])], check=True)


def main():
    """Export, open, measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runtime", metavar="PATH", help="as of `minicnn demo --export`")
    parser.add_argument("--strokes", metavar="N", type=int, default=20, help="digits to draw (default: 20)")
    args = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        export(f"{folder}/copy", args.runtime)
        handler = functools.partial(Quiet, directory=folder)
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, chromium() as browser:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            address = f"http://127.0.0.1:{server.server_port}/copy/"
            show(browser, address, 1400, 960)
            draw(browser, SEVEN)
            wait(browser, lambda: browser.find_element(By.ID, "answer").text == "7")
            sizes = dict(browser.execute_script(LOADED))
            runtime = sum(size for name, size in sizes.items() if "/ort." in name) / 1e6
            print(f"loaded: {sum(sizes.values()) / 1e6 - runtime:.2f} MB and {runtime:.2f} MB of runtime")
            taken = times(browser, rng, args.strokes)
            print(
                f"from stroke to pictures: median {statistics.median(taken):.0f} ms, most {max(taken):.0f} ms"
            )
            drawings = [pad_of(stroke(rng)) for _ in range(args.strokes)]
            ours = outputs(browser, address, drawings)
            with page() as served:
                most = difference(ours, outputs(browser, served, drawings))
            print(f"largest difference to the server, relative to the layer's largest number: {most:.1e}")
            server.shutdown()


if __name__ == "__main__":
    main()
