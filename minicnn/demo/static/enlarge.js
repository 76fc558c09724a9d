// One map in the whole window, with a number in each cell, and the arithmetic of the cell that is pointed at.

import { inked, largest, signed, textOn } from "./colours.js";
import { amount, element, short } from "./format.js";
import { latest } from "./api.js";
import { hide, show } from "./inspector.js";
import { Picture } from "./picture.js";

const READABLE = 24; // CSS pixels of a cell, from which on its number is written

// The values of one map of a stage, and the colours in which the page shows the stage.
export function valuesOf({ stages, state }, number, channel) {
  const { picture } = stages.find(number);
  const gradient = state.view === "backward" && state.gradients;
  const all = gradient ? gradient.stages[number].values : state.seen.stages[number].values;
  const values = picture.flat ? all : all.filter((_, i) => i % picture.channels === channel);
  const most = largest(all);
  const shades = !gradient && number === 0 && picture.channels === 1;
  return { values, most, colour: shades ? (value) => inked(value, most) : (value) => signed(value, most) };
}

// A picture of one map of a stage, or of a whole vector; `chosen` gets cells of the stage.
export function mapPicture({ stages }, number, channel, label, chosen = null) {
  const { picture } = stages.find(number);
  const place = (cell) => (picture.flat ? cell : [cell[0], cell[1], channel]);
  const shape = picture.flat ? (picture.vector ? [picture.size] : [1, 1, picture.size]) : [picture.rows, picture.columns, 1];
  return new Picture(shape, label, chosen && ((cell, held, by) => chosen(place(cell), held, by)), 1);
}

// As large as it can be in so many CSS pixels.
export function fitPicture(picture, width, height) {
  picture.scale = Math.max(1, Math.floor(Math.min(width / picture.columns, height / picture.rows)));
  picture.arrange(picture.columns * picture.scale);
}

export class Enlarged {
  constructor(page, animate) {
    Object.assign(this, { page, animate });
    this.title = element("h2", { id: "enlarged-title" });
    this.note = element("small");
    this.place = element("div", { className: "place" });
    this.panel = element("aside", { className: "panel" });
    this.panel.setAttribute("aria-label", "How the cell was computed");
    const make = (textContent, onclick) => element("button", { textContent, onclick });
    const bar = element("div", { className: "buttons" }, make("Previous map", () => this.turn(-1)), make("Next map", () => this.turn(1)),
      make("Animate (A)", () => this.startAnimation(false)), ...(page.offered("backward") ? [make("Animate backward (B)", () => this.startAnimation(true))] : []),
      make("Close (Esc)", () => this.dialog.close()));
    this.dialog = element("dialog", { id: "enlarged", className: "theatre" },
      element("header", {}, this.title, this.note, bar), element("div", { className: "scene" }, this.place, this.panel));
    this.dialog.setAttribute("aria-labelledby", "enlarged-title");
    this.dialog.addEventListener("keydown", (event) => this.key(event));
    document.body.append(this.dialog);
    addEventListener("resize", () => { if (this.dialog.open) this.build(); });
    this.explain = latest(() => this.inspect());
  }

  open(number, cell) {
    Object.assign(this, { number, cell });
    if (!this.dialog.open) this.dialog.showModal();
    this.build();
  }

  // Another map, or the next layer's after the last one.
  turn(by) {
    const { all } = this.page.stages;
    const { picture } = all[this.number];
    const channel = picture.flat ? 0 : this.cell.at(-1) + by;
    if (!picture.flat && channel >= 0 && channel < picture.channels) this.cell = [...this.cell.slice(0, -1), channel];
    else {
      const number = this.number + by;
      if (number < 0 || number >= all.length) return;
      const next = all[number].picture;
      this.number = number;
      this.cell = next.vector ? [0] : [0, 0, by > 0 || next.flat ? 0 : next.channels - 1];
    }
    this.build();
  }

  build() {
    const { number, cell, page } = this;
    const stage = page.stages.find(number);
    const { flat } = stage.picture;
    const shown = valuesOf(page, number, cell.at(-1));
    const name = flat ? stage.name : `${stage.name}: map ${cell.at(-1)}`;
    this.title.textContent = name;
    this.note.textContent = `${stage.picture.flat ? `${stage.picture.size} numbers` : `${stage.picture.rows}×${stage.picture.columns}`}, largest of the layer ${amount(shown.most)}`;
    const label = `${name}. Arrow keys move from cell to cell, Page Up and Down from map to map.`;
    const chosen = (where) => {
      this.cell = where;
      this.picture.mark([this.picture.part(flat ? where : [where[0], where[1], 0])]);
      this.explain();
    };
    this.picture = mapPicture(page, number, cell.at(-1), label, chosen);
    this.place.replaceChildren(this.picture.element);
    fitPicture(this.picture, this.place.clientWidth - 8, this.place.clientHeight - 8);
    this.picture.paint(shown.values, shown.colour);
    this.write(shown);
    this.picture.cell = flat ? cell : [cell[0], cell[1], 0];
    this.picture.canvas.focus();
    chosen(cell);
  }

  // The number of each cell, where there is room for it.
  write({ values, colour }) {
    const { picture } = this;
    if (picture.scale < READABLE) return;
    const ratio = devicePixelRatio || 1;
    const numbers = element("canvas", { className: "numbers", width: picture.columns * picture.scale * ratio, height: picture.rows * picture.scale * ratio });
    numbers.setAttribute("aria-hidden", "true");
    const context = numbers.getContext("2d");
    context.scale(ratio, ratio);
    Object.assign(context, { font: `${Math.min(picture.scale * 0.29, 34)}px system-ui, sans-serif`, textAlign: "center", textBaseline: "middle" });
    values.forEach((value, i) => {
      const [row, column] = [Math.floor(i / picture.columns), i % picture.columns];
      context.fillStyle = textOn(colour(value));
      context.fillText(short(value), (column + 0.5) * picture.scale, (row + 0.5) * picture.scale);
    });
    picture.element.append(numbers);
  }

  async inspect() {
    const { number, cell } = this;
    if (!number) {
      hide(this.panel);
      this.panel.replaceChildren(element("p", { textContent: "The input of the network: nothing was computed yet." }));
      return;
    }
    const { found, title, extra } = await this.page.cellArithmetic(number, cell);
    if (cell !== this.cell) return;
    show(this.panel, found, title, false, () => this.dialog.close(), extra);
    this.panel.querySelector(".close").remove();
  }

  startAnimation(backward) {
    const { number, cell } = this;
    if (!number) return;
    this.dialog.close();
    this.animate(number, cell, backward);
  }

  key(event) {
    event.stopPropagation();
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const works = { PageUp: () => this.turn(-1), PageDown: () => this.turn(1), a: () => this.startAnimation(false) };
    if (this.page.offered("backward")) works.b = () => this.startAnimation(true);
    const work = works[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!work) return;
    event.preventDefault();
    work();
  }
}
