"""Measure the pages of `minicnn demo` in Chromium: first paint, stroke to answer, speed of a training.

It prints a table in Markdown, and how fast a network learns that is watched: in pictures a second, and beside
`Trainer.fit`, which `minicnn train` calls, in turns. It needs the extra `demo`, Selenium, and Chromium
(Debian: chromium, chromium-driver).
"""

import argparse
import os
import statistics
import time

from demo_picture import SEVEN, chromium, draw, page, show, wait

from minicnn import SGD, Trainer
from minicnn.datasets import load_mnist
from minicnn.models import lenet5

VIEWS = {"inside": "", "learn": "learn", "what if": "whatif"}

FIRST_PAINT = "return performance.getEntriesByName('first-contentful-paint')[0]?.startTime"

# Draw a line, a movement at a time. The time ends with the frame that shows the new answer and pictures.
STROKE = """
const [moves, done] = arguments, pad = document.getElementById("pad"), box = pad.getBoundingClientRect();
const send = (type, x, y) => pad.dispatchEvent(new PointerEvent(`pointer${type}`,
  { pointerId: 7, clientX: box.left + x * box.width, clientY: box.top + y * box.height, bubbles: true }));
const answered = () => new Promise((resolve) => {
  const observer = new MutationObserver(() => { observer.disconnect(); resolve(); });
  observer.observe(document.body, { attributeFilter: ["data-milliseconds"] });
});
const frame = () => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });
(async () => {
  const times = [];
  send("down", 0.3, 0.2);
  await answered();
  for (let i = 0; i < moves; i++) {
    await new Promise((resolve) => { setTimeout(resolve, 20); });
    const start = performance.now(), answer = answered();
    send("move", 0.3 + 0.4 * (i % 20) / 20, 0.2 + 0.6 * i / moves);
    await answer;
    await frame();
    times.push(performance.now() - start);
  }
  send("up", 0.7, 0.8);
  done(times);
})();"""

# A network of this browser learns, and is watched as by its page.
LEARN = """
const done = arguments[0];
const headers = { "Content-Type": "application/json" };
const ask = async (name, body) =>
  (await fetch(`/api/${name}`, { method: "POST", headers, body: JSON.stringify(body) })).json();
(async () => {
  const begun = await ask("learn/start", { settings: {} });
  if (begun.error) return done(begun.error);
  await ask("learn/command", { command: "play" });
  (async () => {
    const watched = await fetch("/api/learn/watch", { method: "POST", headers, body: "{}" });
    for (const reader = watched.body.getReader(); !(await reader.read()).done;);
  })();
  setTimeout(() => done(""), 2000);
})();"""

# The steps and the pictures of the page on which a network learns.
PROGRESS = """
const number = document.querySelector(".status")?.textContent.match(/Step ([\\d,]+)/)?.[1] ?? "0";
const pictures = Number(document.body.dataset.pictures ?? 0);
return [performance.now() / 1000, pictures, Number(number.replaceAll(",", ""))];
"""


def first_step(browser):
    """Return seconds from the start of `minicnn demo` to a network that is seen to learn, by one click."""
    began = time.perf_counter()
    with page() as address:
        browser.get(address)
        browser.find_element("css selector", ".watch").click()
        wait(browser, lambda: browser.execute_script(PROGRESS)[2] > 0)
        return time.perf_counter() - began


def watched(browser, address, seconds):
    """Let a network learn while its page is open; return pictures and steps a second."""
    browser.get(f"{address}learn?play=1")
    wait(browser, lambda: browser.execute_script(PROGRESS)[2] > 20)
    began = browser.execute_script(PROGRESS)
    time.sleep(seconds)
    took, pictures, steps = (
        end - start for start, end in zip(began, browser.execute_script(PROGRESS), strict=True)
    )
    browser.find_element("id", "play").click()
    browser.get("about:blank")
    return pictures / took, steps / took


def trained(data):
    """Return the steps a second of an epoch of `Trainer.fit` with the same settings."""
    optimizer = SGD(0.05, momentum=0.9, nesterov=True)
    trainer = Trainer(lenet5().build((28, 28, 1), rng=0), optimizer)
    began = time.perf_counter()
    trainer.fit(*data, batch_size=128, verbose=0)
    return -(-len(data[0]) // 128) / (time.perf_counter() - began)


def first_paint(browser, address, path, repeats):
    """Return milliseconds from the request of a page to its first paint, for each repeat."""
    times = []
    for _ in range(repeats):
        browser.get(address + path)
        times.append(wait(browser, lambda: browser.execute_script(FIRST_PAINT)))
    return times


def stroke_times(browser, moves):
    """Return milliseconds from each movement of the pen to its answer on the screen."""
    times = browser.execute_async_script(STROKE, moves)
    browser.find_element("id", "clear").click()
    return times


def row(name, times):
    """Return a line of the table."""
    ordered = sorted(times)
    late = ordered[int(0.95 * (len(ordered) - 1))]
    return f"| {name} | {statistics.median(times):.0f} | {late:.0f} | {len(times)} |"


def main():
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=10, help="loads of each page (default: 10)")
    parser.add_argument("--moves", type=int, default=100, help="movements of the pen (default: 100)")
    parser.add_argument(
        "--turns", type=int, default=3, help="comparisons of a net that is watched (default: 3)"
    )
    parser.add_argument(
        "--seconds", type=float, default=5, help="how long it is watched each time (default: 5)"
    )
    args = parser.parse_args()
    with chromium() as browser, page() as address:
        browser.set_script_timeout(300)
        started = first_step(browser)
        show(browser, address, 1366, 768)
        draw(browser, SEVEN)  # the browser and the server are warm from here on
        lines = [
            row(f"first paint, {name}", first_paint(browser, address, path, args.repeats))
            for name, path in VIEWS.items()
        ]
        show(browser, address, 1366, 768)
        lines.append(row("stroke to answer", stroke_times(browser, args.moves)))
        error = browser.execute_async_script(LEARN)
        if error:
            raise SystemExit(error)
        lines.append(row("stroke to answer while a net learns", stroke_times(browser, args.moves)))
        browser.get("about:blank")
        (data, _), turns = load_mnist(), []
        for _ in range(args.turns):
            turns.append((*watched(browser, address, args.seconds), trained(data)))
    print("| milliseconds | median | 95th percentile | measured |\n| --- | --- | --- | --- |")
    print("\n".join(lines))
    pictures, steps, ratio = (
        statistics.median(values)
        for values in zip(*((shown, made, made / alone) for shown, made, alone in turns), strict=True)
    )
    print(f"\nFrom `minicnn demo` to a net that is seen to learn: {started:.1f} seconds.")
    print(f"A net that is watched: {pictures:.1f} pictures and {steps:.0f} steps a second,")
    print(f"{ratio:.2f} of those of `Trainer.fit`; load {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
