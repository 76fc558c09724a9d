// The kernel that one draws: a number in each cell, in the colours of the pictures.

import { css, largest, signed, textOn } from "./colours.js";
import { element } from "./format.js";

const from = (size, value) => Array.from({ length: size }, (_, row) => Array.from({ length: size }, (_, column) => value(row, column)));
const rounded = (value) => Number(value.toPrecision(3));

// Kernels of any size, by name.
export const PRESETS = {
  "one pixel": (size) => from(size, (row, column) => (row === size >> 1 && column === size >> 1 ? 1 : 0)),
  "mean": (size) => from(size, () => rounded(1 / size ** 2)),
  "vertical edge": (size) => from(size, (_, column) => Math.sign(column - (size - 1) / 2)),
  "horizontal edge": (size) => from(size, (row) => Math.sign(row - (size - 1) / 2)),
  "falling line": (size) => from(size, (row, column) => (row === column ? 1 : -rounded(1 / size))),
  "Laplace": (size) => from(size, (row, column) => (row === size >> 1 && column === size >> 1 ? size ** 2 - 1 : -1)),
  "zeros": (size) => from(size, () => 0),
};

export class KernelEditor {
  // group: the element; brush(): the value to draw with; changed(): called after each change.
  constructor(group, brush, changed) {
    Object.assign(this, { group, brush, changed, values: [] });
    group.addEventListener("pointerdown", (event) => this.press(event));
    group.addEventListener("pointermove", (event) => { if (this.drawing) this.paintAt(event); });
    for (const end of ["pointerup", "pointercancel"]) addEventListener(end, () => { this.drawing = false; });
    group.addEventListener("keydown", (event) => this.walk(event));
  }

  get size() {
    return this.values.length;
  }

  set(values) {
    this.values = values.map((line) => [...line]);
    this.group.style.gridTemplateColumns = `repeat(${this.size}, auto)`;
    this.group.style.setProperty("--side", `clamp(1.6rem, ${14 / this.size}rem, 2.9rem)`);
    this.inputs = this.values.flatMap((line, row) => line.map((value, column) => {
      const input = element("input", { type: "number", step: "any", min: -100, max: 99.99, value });
      input.setAttribute("aria-label", `row ${row}, column ${column}`);
      input.addEventListener("input", () => this.write(row, column, input.value));
      return input;
    }));
    this.group.replaceChildren(...this.inputs);
    this.colour();
  }

  // Keep the present numbers in the middle of a kernel of another size.
  resize(size) {
    const shift = (this.size - size) >> 1;
    this.set(from(size, (row, column) => this.values[row + shift]?.[column + shift] ?? 0));
  }

  write(row, column, text) {
    const value = Number(text);
    if (text === "" || !Number.isFinite(value) || value < -100 || value >= 100) return;
    this.values[row][column] = value;
    this.colour();
    this.changed();
  }

  press(event) {
    if (event.button !== 0 || !this.inputs.includes(event.target)) return;
    if (event.pointerType !== "mouse") event.preventDefault(); // no keyboard slides in while a finger draws
    event.target.releasePointerCapture?.(event.pointerId);
    this.drawing = true;
    this.paintAt(event);
  }

  paintAt({ clientX, clientY }) {
    const at = this.inputs.indexOf(document.elementFromPoint(clientX, clientY));
    if (at < 0) return;
    const [row, column] = [Math.floor(at / this.size), at % this.size];
    if (this.values[row][column] === this.brush()) return;
    this.inputs[at].value = this.brush();
    this.write(row, column, String(this.brush()));
  }

  // Arrow keys walk; Page Up and Down add and subtract.
  walk(event) {
    const at = this.inputs.indexOf(event.target);
    const moves = { ArrowUp: -this.size, ArrowDown: this.size, ArrowLeft: -1, ArrowRight: 1 };
    const steps = { PageUp: 0.25, PageDown: -0.25 };
    if (at < 0 || !(event.key in moves || event.key in steps)) return;
    event.preventDefault();
    if (event.key in steps) {
      event.target.value = Number(event.target.value) + steps[event.key];
      this.write(Math.floor(at / this.size), at % this.size, event.target.value);
      return;
    }
    const next = this.inputs[at + moves[event.key]];
    next?.focus();
    next?.select();
  }

  colour() {
    const flat = this.values.flat();
    const most = largest(flat);
    this.inputs.forEach((input, i) => {
      const colour = signed(flat[i], most);
      Object.assign(input.style, { background: css(colour), color: textOn(colour) });
    });
  }
}
