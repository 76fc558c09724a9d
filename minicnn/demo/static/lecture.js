// Lecture mode: large type, the whole net on one screen, maps that open large, and animations of their windows.

import { element } from "./format.js";
import { Enlarged } from "./enlarge.js";
import { listenToKeys } from "./keys.js";
import { Sweep } from "./sweep.js";

const HASH = "#lecture";
const ASPECT = 1.5; // of a stage's picture
const WIDEST = 0.96; // of the board
const [LEAST, MOST] = [0.1, 16]; // times the usual size of a map
const SMALLEST = 0.4; // pixels of a cell
const MARGIN = 1; // under the board, in letters
const root = document.documentElement;

// page: {stages, list, state, gradients(), cellArithmetic(number, cell), drawn(), complain(text), say(text),
//  offered(name)}
export class Lecture {
  constructor(page) {
    this.page = page;
    this.enlarged = new Enlarged(page, (number, cell, backward) => this.sweep.open(number, cell, backward));
    this.sweep = new Sweep(page);
    this.scales = page.stages.pictures.map(({ scale }) => scale);
    const toggle = () => this.set(!this.on);
    const showKeys = listenToKeys({
      l: ["lecture mode: large type, the whole network on one screen", toggle],
      z: ["enlarge the map of the cell that is pointed at, or of the picture in focus", () => this.atCell((number, cell) => this.enlarge(number, cell))],
      a: ["animate its sum, product by product", () => this.atCell((number, cell) => this.sweep.open(number, cell))],
      ...(page.offered("backward") && { b: ["animate how its layer passes the gradient back", () => this.atCell((number, cell) => this.sweep.open(number, cell, true))] }),
    }, {
      "Tab": "from picture to picture", "arrows": "from cell to cell", "Page Up, Down": "from map to map",
      "Enter": "hold the cell; in lecture mode: enlarge its map", "Esc": "release the cell, or close what is open",
    });
    this.button = element("button", { id: "lecture", textContent: "Lecture mode", onclick: toggle });
    this.button.setAttribute("aria-keyshortcuts", "L");
    const modes = element("div", { className: "modes" }, this.button, element("button", { textContent: "Keys", onclick: showKeys }));
    document.querySelector("header").append(modes);
    const usual = page.stages.arrange.bind(page.stages);
    page.stages.arrange = (width) => (this.on ? this.fit() : usual(width));
    addEventListener("resize", () => { if (this.on) this.fit(); });
    new ResizeObserver(() => { if (this.on) this.fit(); }).observe(document.querySelector("header"));
    addEventListener("hashchange", () => this.set(location.hash === HASH));
    this.set(location.hash === HASH);
  }

  set(on) {
    this.on = on;
    root.classList.toggle("lecture", on);
    this.button.setAttribute("aria-pressed", on);
    history.replaceState(null, "", on ? HASH : location.pathname + location.search);
    if (on) this.fit();
    else this.reset();
  }

  atCell(work) {
    const { cell } = this.page.state;
    const focused = this.page.stages.all.find(({ picture }) => picture.canvas === document.activeElement);
    const [number, place] = cell ? [cell.number, cell.cell] : [focused?.number, focused?.picture.cell];
    if (place && this.page.drawn()) work(number, place);
  }

  enlarge(number, cell) {
    this.enlarged.open(number, cell);
  }

  // The buttons under the arithmetic of a cell.
  buttons(number, cell, found) {
    const make = (textContent, onclick) => element("button", { textContent, onclick });
    const made = [make("Enlarge map", () => this.enlarge(number, cell))];
    if (this.sweep.can(found)) made.push(make("Animate", () => this.sweep.open(number, cell)));
    if (this.page.offered("backward") && this.sweep.can(found, true)) made.push(make("Animate backward", () => this.sweep.open(number, cell, true)));
    return element("div", { className: "buttons" }, ...made);
  }

  reset() {
    this.fitted = "";
    this.page.stages.pictures.forEach((picture, i) => {
      picture.scale = this.scales[i];
      picture.arrange(this.page.list.clientWidth || 600);
    });
  }

  // Make the pictures as large as they can be with all of them in the window.
  fit() {
    const { list, stages } = this.page;
    const room = innerHeight - list.getBoundingClientRect().top - scrollY - MARGIN * parseFloat(getComputedStyle(root).fontSize);
    const fitted = `${list.clientWidth} ${room}`;
    if (fitted === this.fitted) return;
    this.fitted = fitted;
    const set = (factor) => stages.pictures.forEach((picture, i) => {
      const { rows, columns, channels } = picture;
      picture.scale = Math.max(SMALLEST, this.scales[i] * factor * (picture.flat ? 0.6 : 1));
      const area = (columns + 2) * (rows + 2) * channels * picture.scale ** 2;
      const narrow = Math.max(Math.sqrt(area * ASPECT), (columns + 2) * picture.scale);
      picture.arrange(picture.flat ? columns * picture.scale : Math.min(narrow, list.clientWidth * WIDEST));
    });
    const shown = stages.pictures.map((picture) => picture.values);
    for (const picture of stages.pictures) picture.values = null; // sizes alone are tried, nothing is painted
    const fits = (factor) => {
      set(factor);
      return list.scrollHeight <= room && list.scrollWidth <= list.clientWidth;
    };
    let [low, high] = [LEAST, MOST];
    while (high > 1.1 * low) {
      const middle = Math.sqrt(low * high);
      if (fits(middle)) low = middle;
      else high = middle;
    }
    // Where a line breaks anew, a larger size may fit although a smaller one did not.
    for (let factor = 1.5 * low; factor > low; factor *= 0.97) if (fits(factor)) low = factor;
    root.classList.toggle("crowded", !fits(low)); // then the board scrolls
    stages.pictures.forEach((picture, i) => { picture.values = shown[i]; });
    set(low);
  }
}
