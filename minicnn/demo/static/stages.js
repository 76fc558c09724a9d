// The pictures of all stages: the input, the output of each layer, or their gradients; and the Softmax after them.

import { inked, largest, signed, under } from "./colours.js";
import { amount, counted, element } from "./format.js";
import { Picture } from "./picture.js";
import { SoftmaxTable } from "./softmax.js";

const HELP = "Arrow keys move from cell to cell, Page Up and Down from map to map, Enter holds the cell.";
const INPUT_SIDE = 140; // CSS pixels of the input's picture, about

const sizeOf = (shape) => (shape.length === 3 && shape[2] > 1 ? counted(shape[2], "map") + ` of ${shape[0]}×${shape[1]}` : shape.slice(0, 2).join("×"));

const weightsOf = (weights) => Object.entries(weights).map(([kind, count]) => `${count.toLocaleString("en")} ${kind}`).join(", ");

export class Stages {
  // chosen(number, cell, held, by) is called with a cell that is pointed at. opines: whether the answers have the gradient
  // of a class.
  constructor(net, list, chosen, opines = true) {
    Object.assign(this, { net, opines, all: [] });
    const [height, width] = net.input;
    const scale = Math.max(1, Math.round(INPUT_SIDE / height));
    this.add(0, "Input", sizeOf(net.input), "", new Picture(net.input, "The input of the network", null, scale));
    net.layers.forEach(({ text, name, shape, weights }, i) => {
      const [size, counts] = [sizeOf(shape), weightsOf(weights)];
      const label = `${i} ${name}, ${[size, counts].filter(Boolean).join(" · ")}. ${HELP}`;
      const picture = new Picture(shape, label, (cell, held, by) => chosen(i + 1, cell, held, by));
      this.add(i + 1, `${i} ${text}`, size, counts, picture, `${i} ${name}`);
    });
    this.speaks = new Picture([height, width, 1], "Pixels for and against the class", null, scale);
    this.opinion = element("div", {}, element("h3", { id: "speaks" }), this.speaks.element, element("p", { className: "help" }));
    const [input] = this.all;
    input.note = element("p", { className: "help" });
    const whole = element("div", {}, ...input.item.children, input.note);
    input.item.replaceChildren(element("div", { className: "pair" }, whole, this.opinion));
    this.pictures = [...this.all.map(({ picture }) => picture), this.speaks];
    this.softmax = new SoftmaxTable(net.classes);
    list.append(...this.all.map(({ item }) => item), this.softmax.element);
    new ResizeObserver(([{ contentRect }]) => {
      if (contentRect.width > 50) this.arrange(contentRect.width);
    }).observe(list);
  }

  // Lay the pictures out in so many CSS pixels; lecture mode has a layout of its own.
  arrange(width) {
    for (const { picture } of this.all) picture.arrange(width);
  }

  add(number, title, size, counts, picture, name = title) {
    const scale = element("span", { className: "scale" });
    const small = element("small", {}, size, scale, counts && element("span", { className: "weights", textContent: counts }));
    const item = element("li", { className: picture.flat ? "layer" : "layer maps" }, element("h3", { textContent: `${title} ` }, small), picture.element);
    this.all.push({ number, picture, item, name, scale });
  }

  // seen: the answer of the server, or null; gradients: those of the loss, or null for the outputs.
  paint(seen, gradients) {
    for (const stage of this.all) this.paintStage(stage, seen, gradients?.stages[stage.number]);
    this.softmax.show(seen ? seen.stages.at(-1).values : null);
    this.all[0].note.textContent = gradients ? "blue: more here raises the loss" : "";
    this.opinion.hidden = Boolean(gradients) || !this.opines; // its colours speak of a logit, those beside it of the loss
    if (!this.opinion.hidden) this.paintOpinion(seen);
  }

  paintStage({ number, picture, scale }, seen, gradient) {
    const size = picture.flat ? picture.size : picture.rows * picture.columns * picture.channels;
    const values = gradient?.values ?? seen?.stages[number].values ?? new Float32Array(size);
    const most = largest(values);
    const shades = !gradient && number === 0 && picture.channels === 1;
    picture.paint(values, shades ? (value) => inked(value, most) : (value) => signed(value, most));
    scale.textContent = seen ? ` · largest ${gradient ? "gradient " : ""}${amount(most)}` : "";
  }

  paintOpinion(seen) {
    const { rows, columns } = this.speaks;
    const gradient = sumOfChannels(seen?.gradient.values, rows * columns);
    const ink = sumOfChannels(seen?.stages[0].values, rows * columns);
    const [most, inkiest] = [largest(gradient), largest(ink)];
    this.speaks.paint(gradient, (value, i) => under(signed(value, most), inkiest ? Math.max(0, ink[i]) / inkiest : 0));
    const [title, , note] = this.opinion.children;
    title.textContent = `For and against ${seen ? this.net.classes[seen.class] : "it"}`;
    note.textContent = `blue: more here raises its logit${seen ? `; largest ${amount(most)}` : ""}`;
  }

  find(number) {
    return this.all[number];
  }

  // Frame a cell, and where it looks.
  mark(number, cell, found) {
    this.unmark();
    const { picture } = this.find(number);
    picture.mark([picture.part(cell)]);
    const source = this.find(found.source).picture;
    if (found.channels) source.mark(found.channels.map((channel) => source.window(found, channel)));
    const cells = found.cells ?? found.strongest?.map((part) => part.cell);
    if (cells) source.mark(cells.map((one) => source.part(one)));
    for (const { stage, ...place } of found.chain ?? []) {
      if (stage < found.source) this.find(stage).picture.mark(this.find(stage).picture.seen(place));
    }
  }

  unmark() {
    for (const { picture } of this.all) picture.mark([]);
  }
}

function sumOfChannels(values, size) {
  const sums = new Float32Array(size);
  values?.forEach((value, i) => { sums[Math.floor((i * size) / values.length)] += value; });
  return sums;
}
