// A window moves across the maps of a layer: its sum is formed term by term, and the output filled cell by cell;
// or, for the backward pass of pooling, the gradient goes from each output to the cells of its window.

import { largest, signed } from "./colours.js";
import { fitPicture, mapPicture, valuesOf } from "./enlarge.js";
import { element, number as digits } from "./format.js";
import { grid } from "./inspector.js";
import { Picture } from "./picture.js";
import { ending, hasTerms, termsOf } from "./terms.js";

const SPEEDS = { "each step": { wait: 300, whole: false }, "each window": { wait: 500, whole: true }, "fast": { wait: 25, whole: true } };
const CLEAR = 0; // a colour that is transparent: nothing was computed yet
const shade = (most) => (value) => (Number.isNaN(value) ? CLEAR : signed(value, most));

export class Sweep {
  constructor(page) {
    this.page = page;
    this.run = 0; // counts plays, so that an older one ends
    const make = (textContent, onclick) => element("button", { textContent, onclick });
    this.title = element("h2", { id: "sweep-title" });
    this.play = make("Play", () => this.toggle());
    this.speed = element("select", {}, ...Object.keys(SPEEDS).map((name) => element("option", { textContent: name })));
    const bar = element("div", { className: "buttons" }, this.play, make("◀ Step", () => this.move(-1)), make("Step ▶", () => this.move(1)),
      make("Next window", () => this.jump(this.index + 1)), make("From the start", () => this.jump(0)), make("Whole map", () => this.finish()),
      element("label", {}, "Speed ", this.speed), make("Close (Esc)", () => this.dialog.close()));
    this.sources = element("div", { className: "place" });
    this.target = element("div", { className: "place forms" });
    this.panel = element("aside", { className: "panel" });
    this.panel.setAttribute("aria-label", "The sum as it is formed");
    const figure = (content, caption) => element("figure", {}, caption, content);
    [this.left, this.right] = [element("figcaption"), element("figcaption")];
    this.dialog = element("dialog", { id: "sweep", className: "theatre" }, element("header", {}, this.title, bar),
      element("div", { className: "scene three" }, figure(this.sources, this.left), this.panel, figure(this.target, this.right)));
    this.dialog.setAttribute("aria-labelledby", "sweep-title");
    this.dialog.sweep = this;
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("close", () => this.pause());
    document.body.append(this.dialog);
    addEventListener("resize", () => { if (this.dialog.open) this.fit(); });
  }

  can(found, backward = false) {
    return hasTerms(found, backward);
  }

  // Start at a cell; the backward pass starts at the first one, as it adds up.
  async open(number, cell, backward = false) {
    const { page } = this;
    if (!number) return;
    const { found } = await page.cellArithmetic(number, cell);
    if (!this.can(found, backward)) {
      page.complain(backward ? "Only pooling layers have an animation of the backward pass: point at a cell of one." : "Convolutions, with the ReLU after them, and pooling layers have an animation: point at a cell of one.");
      return;
    }
    const gradients = backward ? await page.gradients() : null;
    const { picture, name } = page.stages.find(number);
    const channel = cell.at(-1);
    Object.assign(this, { number, channel, backward, gradients, terms: null, founds: new Map(), shape: picture.flat ? [1, 1] : [picture.rows, picture.columns] });
    const from = page.stages.find(found.source).name;
    this.source = { number: found.source, channels: found.channels };
    this.title.textContent = `${name}${picture.flat ? "" : `: map ${channel}`}${backward ? ", backward pass" : ""}`;
    this.left.textContent = backward ? `Gradient of ${from}: forms here` : from;
    this.right.textContent = backward ? `Gradient of ${name}: known` : name;
    if (!this.dialog.open) this.dialog.showModal();
    this.build();
    this.play.focus();
    await this.jump(backward || picture.flat ? 0 : cell[0] * this.shape[1] + cell[1]);
  }

  get cells() {
    return this.shape[0] * this.shape[1];
  }

  cellAt(index) {
    const { picture } = this.page.stages.find(this.number);
    if (picture.flat) return picture.vector ? [this.channel] : [0, 0, this.channel];
    return [Math.floor(index / this.shape[1]), index % this.shape[1], this.channel];
  }

  // The values that are known, and those that form; `state.view` of the page does not matter here.
  build() {
    const { page, source, number, channel, gradients } = this;
    const forward = { stages: page.stages, state: { ...page.state, view: "forward" } };
    const backward = { stages: page.stages, state: { ...page.state, view: "backward", gradients } };
    const known = gradients ? backward : forward;
    const shown = page.stages.find(source.number).picture;
    const maps = source.channels.map((one) => valuesOf(known, source.number, shown.flat ? 0 : one));
    this.goal = { source: maps[0].values, target: valuesOf(known, number, channel) };
    const shape = shown.flat ? [1, 1, shown.size] : [shown.rows, shown.columns, maps.length];
    this.from = new Picture(shape, this.left.textContent, null, 1);
    this.fromMost = maps[0].most;
    this.fromColour = maps[0].colour;
    this.fromValues = new Float32Array(shape[0] * shape[1] * shape[2]);
    maps.forEach(({ values }, i) => values.forEach((value, at) => { this.fromValues[shown.flat ? at : at * maps.length + i] = value; }));
    this.to = mapPicture(page, number, channel, this.right.textContent);
    this.sources.replaceChildren(this.from.element);
    this.target.replaceChildren(this.to.element);
    this.fit();
  }

  fit() {
    const { from, to } = this;
    const width = Math.max(60, this.sources.clientWidth - 6);
    const height = Math.max(60, this.sources.clientHeight - 6);
    const lines = Math.max(1, Math.round(Math.sqrt(from.channels * (height / width))));
    const across = Math.ceil(from.channels / lines);
    from.scale = Math.max(1, Math.floor(Math.min(width / (across * (from.columns + 2)), height / (Math.ceil(from.channels / across) * (from.rows + 2)))));
    from.arrange(across * (from.columns + 2) * from.scale);
    fitPicture(to, Math.max(60, this.target.clientWidth - 6), Math.max(60, this.target.clientHeight - 6));
    if (this.terms) this.draw();
  }

  async load(index) {
    if (!this.founds.has(index)) {
      const { found } = await this.page.cellArithmetic(this.number, this.cellAt(index));
      this.founds.set(index, found);
    }
    return this.founds.get(index);
  }

  gradientAt(index) {
    const { target } = this.goal;
    return target.values[this.page.stages.find(this.number).picture.flat ? this.channel : index];
  }

  // Go to the start of a window.
  async jump(index, term = 0) {
    if (index < 0 || index >= this.cells) return;
    for (let i = this.backward ? 0 : index; i < index; i++) await this.load(i);
    const found = await this.load(index);
    Object.assign(this, { index, found, whole: false, terms: termsOf(found, this.backward, this.gradientAt(index)) });
    this.term = term < 0 ? this.terms.length : Math.min(term, this.terms.length);
    this.fill();
    this.draw();
    if (index + 1 < this.cells) this.load(index + 1).catch(() => {}); // asked for again, when it is needed
  }

  // One term forwards or backwards, across the borders of windows; false at the end.
  async move(by) {
    const term = this.term + by;
    if (this.whole) return this.jump(by < 0 ? this.cells - 1 : 0).then(() => true);
    if (term >= 0 && term <= this.terms.length) {
      this.term = term;
      this.draw();
      return true;
    }
    const index = this.index + by;
    if (index < 0 || index >= this.cells) return false;
    await this.jump(index, by < 0 ? -1 : 0);
    return true;
  }

  finish() {
    this.pause();
    Object.assign(this, { whole: true });
    this.draw();
  }

  async toggle() {
    if (this.play.textContent === "Pause") return this.pause();
    const run = ++this.run;
    this.play.textContent = "Pause";
    if (this.whole) await this.jump(0);
    try {
      while (run === this.run) {
        const { wait, whole } = SPEEDS[this.speed.value];
        if (whole && this.term < this.terms.length) { this.term = this.terms.length; this.draw(); }
        else if (!(await this.move(1))) break;
        else if (whole) continue;
        await new Promise((done) => { setTimeout(done, wait); });
      }
    } catch (error) {
      this.page.complain(error.message);
    }
    if (run === this.run) this.pause();
    return undefined;
  }

  pause() {
    this.run += 1;
    this.play.textContent = "Play";
  }

  // The grids of a window; `draw` shows how far they are.
  fill() {
    const { found, backward } = this;
    const parts = backward ? { window: [found.window], shares: [found.shares] }
      : found.kind === "conv" ? { window: found.window, kernel: found.kernel, products: found.products } : { window: [found.window] };
    const captions = { shares: "share of the gradient" };
    this.grids = Object.entries(parts).map(([name, channels]) => {
      const most = largest(channels.flat(2).map((value) => value ?? 0));
      return { name, made: channels.map((lines) => grid(name, lines, most)), caption: captions[name] ?? name };
    });
    this.boxes = this.grids.map(({ caption }) => element("figure", {}, element("figcaption", { textContent: caption })));
    this.line = element("p", { className: "term-line" });
    this.sum = element("dl", { className: "sum" });
    this.parts = element("p", { className: "help" });
    this.panel.replaceChildren(element("div", { className: "factors" }, ...this.boxes), this.line, this.sum, this.parts);
  }

  draw() {
    const { found, terms, term, whole, page } = this;
    const current = whole ? null : terms[term - 1];
    const channel = (current ?? terms[0]).channel;
    this.grids.forEach(({ made, name }, i) => {
      if (made[channel].parentElement !== this.boxes[i]) this.boxes[i].replaceChildren(made[channel], this.boxes[i].lastChild);
      const across = made[channel].style.getPropertyValue("--across");
      [...made[channel].children].forEach((cell, at) => {
        const done = terms.findIndex((one) => one.channel === channel && one.row === Math.floor(at / across) && one.column === at % across);
        cell.classList.toggle("now", Boolean(current) && done === term - 1);
        cell.classList.toggle("later", ["products", "shares"].includes(name) && (done >= term || done < 0));
      });
    });
    const place = `Window ${this.index + 1} of ${this.cells}${terms.some((one) => one.channel) ? `, map ${found.channels[channel]}` : ""}`;
    this.line.textContent = whole ? "The whole map, as the layer computes it." : `${place}: ${current ? current.text : "starts"}`;
    const name = this.backward ? "gradient of the output" : found.kind === "max" ? "largest so far" : `sum of ${term} of ${terms.length}`;
    const value = this.backward ? this.gradientAt(this.index) : term ? terms[term - 1].total : found.kind === "max" ? null : 0;
    const rows = [[name, value], ...(term === terms.length && !this.backward ? ending(found) : [])].filter(([, one]) => one !== null);
    this.sum.replaceChildren(...(whole ? [] : rows).flatMap(([text, one], i) => {
      const shown = element("dd", { textContent: digits(one), className: i && i === rows.length - 1 ? "result" : "" });
      Object.assign(shown.dataset, { name: i ? "end" : "sum", value: one });
      return [element("dt", { textContent: text }), shown];
    }));
    const finished = terms.filter((one, i) => i < term && i + 1 < terms.length && terms[i + 1].channel > one.channel).length;
    const last = term === terms.length && found.sums?.length > 1 ? found.sums.length : finished;
    this.parts.textContent = whole || !last ? "" : `Sum of each map: ${found.sums.slice(0, last).map((one, i) => `${found.channels[i]}: ${digits(one)}`).join(", ")}`;
    this.drawPictures(channel);
    if (whole) page.say(`${this.title.textContent}: the whole map`);
  }

  drawPictures(channel) {
    const { found, goal, index, term, terms, whole, backward } = this;
    const current = terms[term - 1];
    const window = { top: found.top, left: found.left, rows: found.rows, columns: found.columns, channel };
    const shown = backward ? this.formed() : this.fromValues;
    this.from.paint(shown, backward ? shade(this.fromMost) : this.fromColour);
    const at = this.backward && current ? [{ channel, top: found.top + current.row, left: found.left + current.column, rows: 1, columns: 1 }] : [];
    const all = found.channels.map((_, i) => ({ ...window, channel: i, seen: i !== channel }));
    this.from.mark(whole || this.from.flat ? [] : [...all, ...at]);
    const filled = backward ? goal.target.values : goal.target.values.map((value, i) => {
      const mine = this.to.flat ? (i === this.channel ? 0 : Infinity) : i;
      return whole || mine < index || (mine === index && term === terms.length) ? value : NaN;
    });
    this.to.paint(filled, shade(goal.target.most));
    const [row, column] = [Math.floor(index / this.shape[1]), index % this.shape[1]];
    this.to.mark(whole ? [] : [this.to.flat ? this.to.part([this.channel]) : { channel: 0, top: row, left: column, rows: 1, columns: 1 }]);
    Object.assign(this.dialog.dataset, { index, term, of: terms.length });
  }

  // The gradient of the source, as far as it was added up.
  formed() {
    const { found, index, term, terms, whole, goal } = this;
    if (whole) return goal.source;
    const sums = new Float64Array(goal.source.length);
    const add = ({ top, left }, one) => { sums[(top + one.row) * this.from.columns + left + one.column] += one.given; };
    for (let i = 0; i < index; i++) {
      const before = this.founds.get(i);
      for (const one of termsOf(before, true, this.gradientAt(i))) add(before, one);
    }
    for (const one of terms.slice(0, term)) add(found, one);
    this.sums = sums;
    return sums;
  }

  turn(by) {
    const { picture } = this.page.stages.find(this.number);
    const channel = this.channel + by;
    if (channel < 0 || channel >= (picture.flat ? picture.size : picture.channels)) return;
    this.pause();
    this.open(this.number, [...this.cellAt(this.index).slice(0, -1), channel], this.backward);
  }

  key(event) {
    event.stopPropagation();
    const native = event.target.tagName === "SELECT" || (event.target.tagName === "BUTTON" && [" ", "Enter"].includes(event.key));
    if (native || event.ctrlKey || event.metaKey || event.altKey) return;
    const works = { " ": () => this.toggle(), ArrowRight: () => this.move(1), ArrowLeft: () => this.move(-1),
      ArrowDown: () => this.jump(this.index + 1), ArrowUp: () => this.jump(this.index - 1), Home: () => this.jump(0),
      End: () => this.finish(), PageUp: () => this.turn(-1), PageDown: () => this.turn(1) };
    const work = works[event.key];
    if (!work) return;
    event.preventDefault();
    if (event.key !== " ") this.pause();
    Promise.resolve(work()).catch((error) => this.page.complain(error.message));
  }
}
