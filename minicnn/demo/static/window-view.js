// A window over the image: the size of its output by the formula, both pictures, and the arithmetic of a cell.

import { ask, latest, unpack } from "./api.js";
import { card, inked, largest, signed } from "./colours.js";
import { amount, counted, element, number as digits } from "./format.js";
import { show } from "./inspector.js";
import { enlargement, onOneScreen } from "./large.js";
import { Picture } from "./picture.js";

const $ = (id) => document.getElementById(id);
// In letters: what is below the pictures beside the lines of a window, a line, and the most of all lines.
const [BELOW, LINE, LINES] = [12, 1.6, 9];
// CSS pixels of a picture, about, of one that is `maps` pictures wide. In lecture mode the arithmetic of a cell has
// room below, also while there is none.
function side(maps, kernel) {
  if (!onOneScreen()) return enlargement() > 1 ? 0.38 * innerHeight : Math.max(160, Math.min(250, 0.3 * innerHeight));
  const bench = document.querySelector(".bench");
  const card = bench.parentElement;
  const letter = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const top = bench.getBoundingClientRect().top - card.getBoundingClientRect().top + card.scrollTop;
  const high = card.clientHeight - top - (BELOW + Math.min(LINE * kernel, LINES)) * letter;
  const wide = (bench.clientWidth - $("editor").offsetWidth - 4 * letter) / maps;
  return Math.max(80, Math.min(high, wide));
}

export class WindowView {
  // channels: of the image. trying(work): what shows the errors of work.
  constructor(channels, trying) {
    Object.assign(this, { channels, shown: {}, cell: null, body: null });
    this.explain = latest(trying(() => this.inspect()));
  }

  clear() {
    this.cell = null;
    for (const id of ["formula", "facts", "image-size", "output-size"]) $(id).textContent = "";
    for (const id of ["image", "output", "arithmetic"]) $(id).replaceChildren();
  }

  // found: the answer to a request for the image and the settings in `body`.
  show(found, body) {
    this.body = body;
    this.showFormula(found, body);
    this.showImages(unpack(found.x), unpack(found.y), found.axes);
  }

  // out = floor((n + before + after - d (k - 1) - 1) / s) + 1, filled in.
  showFormula({ axes, span }, { size: k, stride: s, dilation: d, padding, operation }) {
    const [rows, columns] = axes;
    const same = JSON.stringify(rows) === JSON.stringify(columns);
    const filled = ({ n, before, after, out }) => [`⌊(${n} + ${before} + ${after} − ${d}·(${k} − 1) − 1) / ${s}⌋ + 1 = `, element("b", { textContent: out })];
    const parts = same ? filled(rows) : ["rows: ", ...filled(rows), "; columns: ", ...filled(columns)];
    $("formula").replaceChildren("output = ⌊(n + before + after − d·(k − 1) − 1) / s⌋ + 1 = ", ...parts);
    const facts = [];
    if (d > 1) facts.push(`With dilation ${d}, the window of ${k}×${k} weights spans ${span}×${span} cells.`);
    if (padding === "same") facts.push(`“same” pads so that the output has ⌈n / s⌉ = ⌈${rows.n} / ${s}⌉ = ${rows.out} rows; an odd row goes after.`);
    const missed = [["row", rows], ["column", columns]].map(([name, { n, before, after }]) => [name, (n + before + after - span) % s])
      .filter(([, rest]) => rest).map(([name, rest]) => (rest === 1 ? `last ${name}` : `last ${rest} ${name}s`));
    if (missed.length) facts.push(`No window reaches the ${missed.join(" and the ")}.`);
    const weights = k * k * (operation === "conv" ? this.channels : 1);
    const cells = `${rows.out}×${columns.out}`;
    facts.push(operation === "conv" ? `${cells} outputs of ${counted(weights, "weight")} each: ${(rows.out * columns.out * weights).toLocaleString("en")} multiplications.`
      : `${cells} outputs; pooling has no weights.`);
    if (operation === "conv" && this.channels > 1) facts.push(`The kernel is the same for each of the ${this.channels} channels, which are added up.`);
    $("facts").textContent = facts.join(" ");
  }

  // Keep a picture, with the cell that the keys are at, as long as its shape is the same.
  pictureOf(place, shape, length, label, chosen) {
    const key = `${shape} ${length}`;
    if (this.shown[place]?.key !== key) {
      const room = Math.max(100, Math.min(length, document.querySelector(".bench").clientWidth - 4));
      const picture = new Picture(shape, label, chosen, Math.max(1, Math.floor(room / Math.max(shape[0], shape[1]))));
      this.shown[place] = { key, picture };
      picture.arrange(shape.length === 3 && shape[2] > 1 ? shape[2] * (shape[1] + 2) * picture.scale : room * 1.2);
    }
    $(place).replaceChildren(this.shown[place].picture.element);
    return this.shown[place].picture;
  }

  // The image with its padding, and the output.
  showImages(x, y, [rows, columns]) {
    const [height, width, channels] = x.shape;
    const [tall, wide] = [rows.before + height + rows.after, columns.before + width + columns.after];
    const padded = new Float32Array(tall * wide * channels).fill(NaN);
    for (let row = 0; row < height; row++) {
      const from = row * width * channels;
      padded.set(x.values.subarray(from, from + width * channels), ((row + rows.before) * wide + columns.before) * channels);
    }
    const most = largest(x.values);
    const shade = channels === 1 ? inked : signed;
    const length = side(channels + y.shape[2], this.body.size);
    const picture = this.pictureOf("image", [tall, wide, channels], length, "The image with its padding");
    picture.paint(padded, (value) => (Number.isNaN(value) ? 0 : shade(value, most)), card); // padding is hatched, gaps are not
    picture.offset = [rows.before, columns.before];
    const output = this.pictureOf("output", y.shape, length, "The output. Arrow keys move from cell to cell.", (where) => { this.cell = where; this.explain(); });
    const strongest = largest(y.values);
    output.paint(y.values, (value) => signed(value, strongest));
    $("image-size").textContent = `${height}×${width}${tall !== height || wide !== width ? `, padded ${tall}×${wide}` : ""}`;
    $("output-size").textContent = `${y.shape[0]}×${y.shape[1]}, largest ${amount(strongest)}`;
    if (this.cell && this.cell.every((at, i) => at < y.shape[i])) this.explain();
    else this.letGo();
  }

  letGo() {
    this.cell = null;
    for (const { picture } of Object.values(this.shown)) picture.mark([]);
    $("arithmetic").replaceChildren();
  }

  async inspect() {
    const { cell: where, body, shown } = this;
    if (!where || !body) return;
    const { cell: found } = await ask("slide", { ...body, cell: where });
    if (this.cell !== where) return;
    show($("arithmetic"), found, `Output: ${where[2] ? `map ${where[2]}, ` : ""}row ${where[0]}, column ${where[1]}: ${digits(found.value)}`, false, () => this.letGo(), []);
    const { picture } = shown.image;
    const [before, left] = picture.offset;
    picture.mark(found.channels.map((channel) => ({ channel, top: found.top + before, left: found.left + left, rows: found.rows, columns: found.columns })));
    shown.output.picture.mark([shown.output.picture.part(where)]);
  }
}
