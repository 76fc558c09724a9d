// The arithmetic of the windows of an animation. It is asked for, one by one; in the backward pass of a convolution the
// windows differ in their places only.

export class Windows {
  // ask(index): the arithmetic of one; shape: rows and columns of windows; alike: whether they differ in places only.
  constructor(ask, shape, alike) {
    Object.assign(this, { ask, shape, alike, found: new Map() });
  }

  get count() {
    return this.shape[0] * this.shape[1];
  }

  async load(index) {
    if (this.alike) await Promise.all([0, this.count - 1].map((end) => this.asked(end)));
    else await this.asked(index);
    return this.at(index);
  }

  async asked(index) {
    if (!this.found.has(index)) this.found.set(index, await this.ask(index));
  }

  // That of a window which is known.
  at(index) {
    if (this.found.has(index)) return this.found.get(index);
    const [first, last] = [this.found.get(0), this.found.get(this.count - 1)];
    const [rows, columns] = this.shape;
    const between = (from, to, step, count) => from + (count > 1 ? (step * (to - from)) / (count - 1) : 0);
    return { ...first, top: between(first.top, last.top, Math.floor(index / columns), rows), left: between(first.left, last.left, index % columns, columns) };
  }
}
