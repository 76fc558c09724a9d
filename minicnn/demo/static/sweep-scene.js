// The two pictures of an animation: what a layer has got, and what it gives; or, backwards, the gradients of both.

import { largest, signed } from "./colours.js";
import { fitPicture, mapPicture, valuesOf } from "./enlarge.js";
import { Picture } from "./picture.js";
import { termsOf } from "./terms.js";

const CLEAR = 0; // a colour that is transparent: nothing was computed yet
const shade = (most) => (value) => (Number.isNaN(value) ? CLEAR : signed(value, most));

export class Scene {
  // from, to: elements for the pictures.
  constructor(page, from, to) {
    Object.assign(this, { page, places: { from, to } });
  }

  // what: {number, channel, backward, gradients, source: {number, channels}, labels}; `state.view` of the page does not matter here.
  build(what) {
    const { page } = this;
    const { number, channel, gradients, source, labels } = Object.assign(this, what);
    const { picture } = page.stages.find(number);
    const shown = page.stages.find(source.number).picture;
    const known = { stages: page.stages, state: { ...page.state, view: gradients ? "backward" : "forward", gradients } };
    this.target = valuesOf(known, number, channel);
    // A Dense fills a vector cell by cell; of a vector made by other layers only one cell is shown.
    this.shape = !picture.flat ? [picture.rows, picture.columns] : [1, source.channels ? 1 : picture.size];
    this.single = picture.flat && source.channels;
    this.vector = picture.vector;
    const channels = shown.flat ? [0] : source.channels ?? [...Array(shown.channels).keys()];
    const maps = channels.map((one) => valuesOf(known, source.number, one));
    [this.goal] = maps;
    const shape = shown.flat ? [1, 1, shown.size] : [shown.rows, shown.columns, maps.length];
    this.from = new Picture(shape, labels.from, null, 1);
    this.values = new Float32Array(shape[0] * shape[1] * shape[2]);
    maps.forEach(({ values }, i) => values.forEach((value, at) => { this.values[shown.flat ? at : at * maps.length + i] = value; }));
    this.to = mapPicture(page, number, channel, labels.to);
    this.places.from.replaceChildren(this.from.element);
    this.places.to.replaceChildren(this.to.element);
    Object.assign(this, { sums: null, known: null, most: 0 }); // of the gradient that forms
  }

  get cells() {
    return this.shape[0] * this.shape[1];
  }

  // The cell of the layer's output that a step of the animation computes.
  cellAt(index) {
    if (!this.single) return this.vector ? [index] : [Math.floor(index / this.shape[1]), index % this.shape[1], this.channel];
    return this.vector ? [this.channel] : [0, 0, this.channel];
  }

  gradientAt(index) {
    return this.target.values[this.single ? this.channel : index];
  }

  fit() {
    const { from, to, places } = this;
    const width = Math.max(60, places.from.clientWidth - 6);
    const height = Math.max(60, places.from.clientHeight - 6);
    const lines = Math.max(1, Math.round(Math.sqrt(from.channels * (height / width))));
    const across = Math.ceil(from.channels / lines);
    from.scale = Math.max(1, Math.floor(Math.min(width / (across * (from.columns + 2)), height / (Math.ceil(from.channels / across) * (from.rows + 2)))));
    from.arrange(across * (from.columns + 2) * from.scale);
    fitPicture(to, Math.max(60, places.to.clientWidth - 6), Math.max(60, places.to.clientHeight - 6));
  }

  // run: {index, found, terms, term, whole}, and before(i), the arithmetic of an earlier window.
  draw(run) {
    const { index, term, terms, whole } = run;
    if (this.backward) {
      const sums = this.formed(run);
      this.from.paint(sums, shade(this.most));
    } else this.from.paint(this.values, this.goal.colour);
    this.from.mark(whole ? [] : this.marksOf(run));
    const target = this.target.values;
    this.to.paint(this.backward ? target : target.map((value, i) => {
      const mine = this.single ? (i === this.channel ? 0 : Infinity) : i;
      return whole || mine < index || (mine === index && term === terms.length) ? value : NaN;
    }), shade(this.target.most));
    const [row, column] = [Math.floor(index / this.shape[1]), index % this.shape[1]];
    this.to.mark(whole ? [] : [this.to.flat ? this.to.part(this.cellAt(index)) : { channel: 0, top: row, left: column, rows: 1, columns: 1 }]);
  }

  // The window, and the cell that is added now.
  marksOf({ found, terms, term }) {
    const current = terms[term - 1];
    if (found.kind === "dense") return terms.slice(0, term).filter(({ cell }) => cell).map((one) => ({ ...this.from.part(one.cell), seen: one !== current }));
    if (this.from.flat) return [];
    const { top, left, rows, columns } = found;
    const { channel } = current ?? terms[0];
    const windows = found.channels.map((_, i) => ({ top, left, rows, columns, channel: i, seen: i !== channel }));
    return current ? [...windows, { channel, top: top + current.down, left: left + current.right, rows: 1, columns: 1 }] : windows;
  }

  // The gradient of the source, as far as it was added up by the windows until now.
  formed({ index, found, terms, term, whole, before }) {
    if (!this.most) this.most = largest(whole || found.kind !== "conv" ? this.goal.values : this.addAll(before));
    if (whole) return (this.sums = found.kind === "conv" ? this.addAll(before) : this.goal.values);
    if (!this.known || this.known.index > index) this.known = { index: 0, sums: new Float64Array(this.values.length) };
    const { known } = this;
    for (; known.index < index; known.index++) this.add(known.sums, before(known.index), known.index);
    this.sums = Float64Array.from(known.sums);
    this.add(this.sums, found, index, terms.slice(0, term));
    return this.sums;
  }

  addAll(before) {
    const sums = new Float64Array(this.values.length);
    for (let i = 0; i < this.cells; i++) this.add(sums, before(i), i);
    return sums;
  }

  add(sums, found, index, terms = termsOf(found, true, this.gradientAt(index))) {
    const { rows, columns, channels, flat, size } = this.from;
    const [height, width, count] = flat ? [1, 1, size] : [rows, columns, channels];
    for (const { channel, down, right, given } of terms) {
      const [row, column] = [found.top + down, found.left + right];
      if (row < 0 || column < 0 || row >= height || column >= width) continue; // the padding's
      sums[(row * width + column) * count + (flat ? found.channels[channel] : channel)] += given;
    }
  }
}
