"""Measure the pages of `minicnn demo` in Chromium: the first paint, and the time from a stroke to its answer.

It prints a table in Markdown. It needs the extra `demo`, Selenium, and Chromium (Debian: chromium,
chromium-driver).
"""

import argparse
import os
import statistics

from demo_picture import SEVEN, chromium, draw, page, show, wait

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

# A network of this browser learns, and a view of it is asked for as often as the page does.
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
    for (;;) {
      window.learning = await ask("learn/look", {});
      await new Promise((resolve) => { setTimeout(resolve, 60); });
    }
  })();
  setTimeout(() => done(""), 2000);
})();"""


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
    args = parser.parse_args()
    with page() as address, chromium() as browser:
        browser.set_script_timeout(300)
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
        rate = browser.execute_script("return window.learning.nets[0].rate")
    print("| milliseconds | median | 95th percentile | measured |\n| --- | --- | --- | --- |")
    print("\n".join(lines))
    print(f"\nThe net that learned meanwhile made {rate:.0f} steps a second; load {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    main()
