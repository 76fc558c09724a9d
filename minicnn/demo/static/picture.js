// One picture: all maps of a stage side by side, a cell a pixel, enlarged; cells can be pointed at and walked to.

const GAP = 2; // cells between maps

export class Picture {
  // shape: [rows, columns, channels] of images, [n] of a vector. chosen(cell, held) is called with a cell pointed at.
  constructor(shape, label, chosen = null, scale = null) {
    this.vector = shape.length === 1;
    this.flat = this.vector || shape[0] * shape[1] === 1; // maps of one cell are laid out as a vector
    const length = shape.at(-1);
    const lines = Math.ceil(length / 40);
    [this.rows, this.columns, this.channels] = this.flat ? [lines, Math.ceil(length / lines), 1] : shape;
    this.size = this.flat ? length : Infinity;
    this.scale = scale ?? (this.flat ? 12 : Math.max(2, Math.round((30 + 2 * this.rows) / this.rows)));
    this.element = Object.assign(document.createElement("div"), { className: "picture" });
    this.canvas = document.createElement("canvas");
    this.canvas.maps = this.columns;
    this.canvas.repaint = () => { if (this.values) this.paint(this.values, this.colour); };
    this.element.append(this.canvas);
    this.canvas.setAttribute("aria-label", label);
    this.canvas.setAttribute("role", chosen ? "application" : "img");
    this.cell = this.vector ? [0] : [0, 0, 0];
    this.between = null;
    if (chosen) this.listen(chosen);
    this.arrange(600);
  }

  // Lay the maps out in rows that fit into so many CSS pixels.
  arrange(width) {
    const room = width / this.columns;
    const least = this.flat ? Math.min(this.scale, Math.floor(room) || room) : this.scale;
    const fit = Math.max(1, Math.floor((width / least + GAP) / (this.columns + GAP)));
    const lines = Math.ceil(this.channels / fit);
    this.across = Math.ceil(this.channels / lines);
    this.canvas.width = this.across * (this.columns + GAP) - GAP;
    this.canvas.height = lines * (this.rows + GAP) - GAP;
    this.canvas.style.width = `${this.canvas.width * least}px`;
    this.canvas.style.height = `${this.canvas.height * least}px`;
    if (this.values) this.paint(this.values, this.colour);
    if (this.marked) this.mark(this.marked);
  }

  // colour(value, index) -> a colour of colours.js; between() -> that of the gaps between maps, by default transparent.
  paint(values, colour, between = this.between) {
    Object.assign(this, { values, colour, between });
    const context = this.canvas.getContext("2d");
    const image = context.createImageData(this.canvas.width, this.canvas.height);
    const pixels = new Uint32Array(image.data.buffer);
    if (between) pixels.fill(between());
    for (let channel = 0; channel < this.channels; channel++) {
      const [x, y] = this.corner(channel);
      for (let i = channel, place = 0; i < values.length; i += this.channels, place++) {
        const row = Math.floor(place / this.columns);
        pixels[(y + row) * image.width + x + place - row * this.columns] = colour(values[i], i);
      }
    }
    context.putImageData(image, 0, 0);
  }

  corner(channel) {
    return [(channel % this.across) * (this.columns + GAP), Math.floor(channel / this.across) * (this.rows + GAP)];
  }

  // Frames around parts: {channel, top, left, rows, columns, seen}, cut off at the map's edge; thin ones where `seen`.
  mark(parts) {
    this.marked = parts;
    this.element.querySelectorAll(".mark").forEach((mark) => mark.remove());
    for (const { channel, top, left, rows, columns, seen } of parts) {
      const [x, y] = this.corner(channel);
      const [first, last] = [Math.max(left, 0), Math.min(left + columns, this.columns)];
      const [upper, lower] = [Math.max(top, 0), Math.min(top + rows, this.rows)];
      const mark = Object.assign(document.createElement("div"), { className: seen ? "mark seen" : "mark" });
      const percent = (value, of) => `${(100 * value) / of}%`;
      mark.style.left = `calc(${percent(x + first, this.canvas.width)} - 2px)`;
      mark.style.top = `calc(${percent(y + upper, this.canvas.height)} - 2px)`;
      mark.style.width = `calc(${percent(last - first, this.canvas.width)} + 4px)`;
      mark.style.height = `calc(${percent(lower - upper, this.canvas.height)} + 4px)`;
      this.element.append(mark);
    }
  }

  // Where a cell of this picture is, for `mark`.
  part(cell) {
    const index = cell.at(-1);
    const [row, column, channel] = this.flat ? [Math.floor(index / this.columns), index % this.columns, 0] : cell;
    return { channel, top: row, left: column, rows: 1, columns: 1 };
  }

  // Where a window {top, left, rows, columns} is in one of the maps.
  window(place, channel) {
    return this.flat ? this.part([0, 0, channel]) : { ...place, channel };
  }

  // The parts that a cell of a later stage sees, of its chain.
  seen({ channels, ...place }) {
    const some = channels ?? [...Array(this.channels).keys()];
    if (!this.flat) return some.map((channel) => ({ ...place, channel, seen: true }));
    if (!channels) return [{ channel: 0, top: 0, left: 0, rows: this.rows, columns: this.columns, seen: true }];
    return channels.map((index) => ({ ...this.part([index]), seen: true }));
  }

  listen(chosen) {
    this.canvas.tabIndex = 0;
    const point = (held) => (event) => {
      const cell = this.at(event);
      if (cell) chosen((this.cell = cell), held, event.pointerType);
    };
    this.canvas.addEventListener("pointermove", point(false));
    this.canvas.addEventListener("pointerdown", point(true));
    this.canvas.addEventListener("focus", () => {
      if (this.canvas.matches(":focus-visible")) chosen(this.cell, false);
    });
    this.canvas.addEventListener("keydown", (event) => {
      const cell = this.walk(event.key);
      if (!cell && event.key !== "Enter") return;
      event.preventDefault();
      chosen((this.cell = cell ?? this.cell), event.key === "Enter" || "walk");
    });
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * this.canvas.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * this.canvas.height);
    const [column, row] = [x % (this.columns + GAP), y % (this.rows + GAP)];
    const channel = Math.floor(y / (this.rows + GAP)) * this.across + Math.floor(x / (this.columns + GAP));
    return this.made(row, column, channel);
  }

  made(row, column, channel) {
    const within = [[row, this.rows], [column, this.columns], [channel, this.channels]];
    if (within.some(([value, end]) => value < 0 || value >= end)) return null;
    if (!this.flat) return [row, column, channel];
    const index = row * this.columns + column;
    if (index >= this.size) return null;
    return this.vector ? [index] : [0, 0, index];
  }

  walk(key) {
    const moves = { ArrowUp: [-1, 0, 0], ArrowDown: [1, 0, 0], ArrowLeft: [0, -1, 0], ArrowRight: [0, 1, 0],
      PageUp: [0, 0, -1], PageDown: [0, 0, 1] };
    if (!(key in moves)) return null;
    const { channel, top, left } = this.part(this.cell);
    return this.made(top + moves[key][0], left + moves[key][1], channel + moves[key][2]) ?? this.cell;
  }
}
