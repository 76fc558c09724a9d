// A window moves across the maps of a layer: its sum is formed term by term, and the output filled cell by cell; or,
// for the backward pass, the gradient of each output goes to the cells of its window.

import { amount, element } from "./format.js";
import { SumPanel } from "./sweep-panel.js";
import { Scene } from "./sweep-scene.js";
import { Windows } from "./sweep-windows.js";
import { hasTerms, termsOf } from "./terms.js";

const SPEEDS = { "each step": { wait: 300, whole: false }, "each window": { wait: 500, whole: true }, "fast": { wait: 25, whole: true } };

export class Sweep {
  constructor(page) {
    this.page = page;
    this.run = 0; // counts plays, so that an older one ends
    const make = (textContent, onclick) => element("button", { textContent, onclick });
    this.title = element("h2", { id: "sweep-title" });
    this.play = make("Play", () => this.toggle());
    this.speed = element("select", {}, ...Object.keys(SPEEDS).map((name) => element("option", { textContent: name })));
    const bar = element("div", { className: "buttons" }, this.play, make("◀ Step", () => this.move(-1)), make("Step ▶", () => this.move(1)),
      make("Next output", () => this.turnOutput(1)), make("From the start", () => this.jump(this.first)), make("To the end", () => this.finish()),
      element("label", {}, "Speed ", this.speed), make("Close (Esc)", () => this.dialog.close()));
    const [from, to] = [element("div", { className: "place" }), element("div", { className: "place forms" })];
    const panel = element("aside", { className: "panel" });
    panel.setAttribute("aria-label", "The sum as it is formed");
    const figure = (content, caption) => element("figure", {}, caption, content);
    [this.left, this.right] = [element("figcaption"), element("figcaption")];
    this.dialog = element("dialog", { id: "sweep", className: "theatre" }, element("header", {}, this.title, bar),
      element("div", { className: "scene three" }, figure(from, this.left), panel, figure(to, this.right)));
    this.dialog.setAttribute("aria-labelledby", "sweep-title");
    this.dialog.sweep = this;
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    this.dialog.addEventListener("close", () => this.pause());
    document.body.append(this.dialog);
    [this.scene, this.panel] = [new Scene(page, from, to), new SumPanel(panel)];
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
      page.complain(backward ? "Convolutions and pooling layers have an animation of the backward pass: point at a cell of one."
        : "Convolutions and Dense, with the ReLU after them, and pooling layers have an animation: point at a cell of one.");
      return;
    }
    if (backward && "relu" in found) number = found.source + 1; // the gradient that the layer gets, behind the ReLU
    const gradients = backward ? await page.gradients() : null;
    const names = { from: page.stages.find(found.source).name, to: page.stages.find(number).name };
    const channel = cell.at(-1);
    Object.assign(this, { backward, terms: null, kind: found.kind, map: `${names.to}, map ${channel}` });
    const alone = found.kind === "conv" ? `, from map ${channel} alone` : "";
    const labels = backward ? { from: `Gradient of ${names.from}${alone}: forms here`, to: `Gradient of ${names.to}: known` } : names;
    this.scene.build({ number, channel, backward, gradients, source: { number: found.source, channels: found.channels }, labels });
    const askFor = async (index) => (await page.cellArithmetic(number, this.scene.cellAt(index))).found;
    this.windows = new Windows(askFor, this.scene.shape, backward && found.kind === "conv");
    const scaled = (text, { most }) => `${text}; largest ${amount(most)}`;
    this.left.textContent = backward ? labels.from : scaled(labels.from, this.scene.goal);
    this.right.textContent = scaled(labels.to, this.scene.target);
    const { flat, columns } = page.stages.find(number).picture;
    this.title.textContent = `${names.to}${flat ? "" : `: map ${channel}`}${backward ? ", backward pass" : ""}`;
    if (!this.dialog.open) this.dialog.showModal();
    this.scene.fit();
    this.play.focus();
    const start = flat ? (this.scene.single ? 0 : channel) : cell[0] * columns + cell[1];
    await this.jump(backward ? this.first : start);
  }

  get first() {
    return this.next(1, 0) ?? 0;
  }

  fit() {
    this.scene.fit();
    if (this.terms) this.draw();
  }

  get cells() {
    return this.scene.cells;
  }

  // Go to the start of a window.
  async jump(index, term = 0) {
    if (index < 0 || index >= this.cells) return;
    for (let i = this.backward ? 0 : index; i < index; i++) await this.windows.load(i);
    const found = await this.windows.load(index);
    const gradient = this.backward ? this.scene.gradientAt(index) : null;
    Object.assign(this, { index, found, gradient, whole: false, terms: termsOf(found, this.backward, gradient) });
    this.term = term < 0 ? this.terms.length : Math.min(term, this.terms.length);
    this.panel.fill(this);
    this.draw();
    if (index + 1 < this.cells) this.windows.load(index + 1).catch(() => {}); // asked for again, when it is needed
  }

  // One term forwards or backwards, across the borders of windows; false at the end.
  async move(by) {
    const term = this.term + by;
    if (this.whole) return this.jump(by < 0 ? this.next(-1, this.cells - 1) ?? 0 : this.first).then(() => true);
    if (term >= 0 && term <= this.terms.length) {
      this.term = term;
      this.draw();
      return true;
    }
    const index = this.next(by);
    if (index === null) return false;
    await this.jump(index, by < 0 ? -1 : 0);
    return true;
  }

  // The output before or after this one. Backwards, one whose gradient is 0 has nothing to pass on.
  next(by, index = this.index + by) {
    const inside = () => index >= 0 && index < this.cells;
    while (this.backward && inside() && !this.scene.gradientAt(index)) index += by;
    return inside() ? index : null;
  }

  async turnOutput(by) {
    const index = this.next(by);
    if (index !== null) await this.jump(index);
  }

  finish() {
    this.pause();
    this.whole = true;
    this.draw();
  }

  async toggle() {
    if (this.play.textContent === "Pause") return this.pause();
    const run = ++this.run;
    this.play.textContent = "Pause";
    if (this.whole) await this.jump(this.first);
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

  draw() {
    const { found, terms, term, index, backward, gradient, whole, cells } = this;
    const place = (channel) => `${this.kind === "dense" ? "Output" : "Window"} ${index + 1} of ${cells}${terms.some((one) => one.channel) ? `, map ${found.channels[channel]}` : ""}`;
    const wholeText = backward && this.kind === "conv" ? `What ${this.map} passes back; the gradient is the sum over all maps.` : "All outputs, as the layer computes them.";
    const run = { found, terms, term, index, backward, gradient, whole, place, wholeText, before: (i) => this.windows.at(i) };
    this.panel.draw(run);
    this.scene.draw(run);
    Object.assign(this.dialog.dataset, { index, term, of: terms.length });
    if (whole) this.page.say(`${this.title.textContent}: the whole map`);
  }

  // The next map; the cells of a Dense are one vector.
  turn(by) {
    const { scene } = this;
    if (this.kind === "dense") return this.turnOutput(by);
    const { picture } = this.page.stages.find(scene.number);
    const channel = scene.channel + by;
    if (channel < 0 || channel >= (picture.flat ? picture.size : picture.channels)) return undefined;
    this.pause();
    return this.open(scene.number, [...scene.cellAt(this.index).slice(0, -1), channel], this.backward);
  }

  key(event) {
    event.stopPropagation();
    const native = event.target.tagName === "SELECT" || (event.target.tagName === "BUTTON" && [" ", "Enter"].includes(event.key));
    if (native || event.ctrlKey || event.metaKey || event.altKey) return;
    const works = { " ": () => this.toggle(), ArrowRight: () => this.move(1), ArrowLeft: () => this.move(-1),
      ArrowDown: () => this.turnOutput(1), ArrowUp: () => this.turnOutput(-1), Home: () => this.jump(this.first),
      End: () => this.finish(), PageUp: () => this.turn(-1), PageDown: () => this.turn(1) };
    const work = works[event.key];
    if (!work) return;
    event.preventDefault();
    if (event.key !== " ") this.pause();
    Promise.resolve(work()).catch((error) => this.page.complain(error.message));
  }
}
