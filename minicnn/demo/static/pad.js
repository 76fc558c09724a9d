// The pad: strokes of mouse, pen, finger or arrow keys, over a test image or over nothing.

const SIDE = 140; // pixels that the server gets, as in checks.py
const WIDTH = 0.075; // of the pen, as a share of the side: about that of MNIST's strokes
const STEP = 1 / 40; // of the arrow keys

export class Pad {
  // draws: whether there is a pen; without one, only pictures are shown.
  constructor(canvas, draws, changed) {
    Object.assign(this, { canvas, draws, changed, strokes: [], image: null, given: false, pen: { x: 0.5, y: 0.3 }, down: false, seen: false });
    canvas.width = canvas.height = 4 * SIDE;
    canvas.repaint = () => this.paint();
    if (draws) this.listen(canvas);
    this.grey = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
    this.paint();
  }

  listen(canvas) {
    canvas.addEventListener("pointerdown", (event) => this.begin(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const end of ["pointerup", "pointercancel", "lostpointercapture"]) {
      canvas.addEventListener(end, (event) => { if (event.pointerId === this.active) this.active = null; });
    }
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("blur", () => { this.seen = this.down = false; this.paint(); });
  }

  begin(event) {
    if (event.button !== 0 || this.active != null) return;
    try { this.canvas.setPointerCapture(event.pointerId); } catch { /* it was lifted already */ }
    this.active = event.pointerId;
    this.seen = this.down = false;
    this.stroke(this.place(event));
    this.update();
  }

  move(event) {
    if (event.pointerId !== this.active) return;
    const events = event.getCoalescedEvents?.() ?? [];
    const stroke = this.strokes.at(-1);
    for (const { x, y } of (events.length ? events : [event]).map((e) => this.place(e))) {
      const last = stroke.at(-1);
      if (Math.hypot(x - last.x, y - last.y) > 0.5 / SIDE) stroke.push({ x, y }); // nearer is not to be seen
    }
    this.update();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) {
      const [x, y] = moves[event.key].map((move) => move * STEP);
      const within = (value) => Math.min(Math.max(value, 0), 1);
      this.pen = { x: within(this.pen.x + x), y: within(this.pen.y + y) };
      if (this.down) this.strokes.at(-1).push(this.pen);
    } else if (event.key === " ") {
      this.down = !this.down;
      if (this.down) this.stroke(this.pen);
    } else if (event.key === "Backspace") this.undo();
    else if (event.key === "Delete") this.clear();
    else return;
    event.preventDefault();
    this.seen = true;
    this.update();
  }

  // A new stroke goes on top of an image that somebody chose, and in place of one that nobody did.
  stroke(point) {
    if (this.given) Object.assign(this, { image: null, given: false });
    this.strokes.push([point]);
  }

  undo() {
    this.down = false;
    this.active = null; // a stroke that is being drawn ends here
    if (!this.strokes.pop()) this.image = null;
    this.update();
  }

  clear() {
    this.load(null);
  }

  // Show an image [rows, columns, channels]; `given` says that nobody chose it. Floats are scaled to their range.
  load(values, shape, given = false) {
    Object.assign(this, { image: null, given, strokes: [], down: false, active: null });
    if (values) {
      const [height, width, channels] = shape;
      this.image = Object.assign(document.createElement("canvas"), { width, height });
      const pixels = new ImageData(width, height);
      const bytes = values instanceof Uint8Array;
      const low = bytes ? 0 : values.reduce((least, value) => Math.min(least, value), Infinity);
      const high = bytes ? 255 : values.reduce((most, value) => Math.max(most, value), -Infinity);
      const shade = (i) => (255 * (values[i] - low)) / (high - low || 1);
      for (let i = 0; i < width * height; i++) {
        const colour = channels === 3 ? [0, 1, 2].map((c) => shade(3 * i + c)) : Array(3).fill(shade(i));
        pixels.data.set(this.draws ? [255, 255, 255, shade(i)] : [...colour, 255], 4 * i);
      }
      this.image.getContext("2d").putImageData(pixels, 0, 0);
    }
    this.update();
  }

  update() {
    this.paint();
    this.changed();
  }

  paint() {
    const style = getComputedStyle(document.documentElement);
    const context = this.canvas.getContext("2d");
    this.draw(context, style.getPropertyValue("--ink"));
    if (!this.seen) return;
    const side = this.canvas.width;
    context.strokeStyle = style.getPropertyValue(this.down ? "--second" : "--accent");
    context.lineWidth = 5;
    context.beginPath();
    context.arc(this.pen.x * side, this.pen.y * side, WIDTH * side * 0.7, 0, 7);
    context.stroke();
  }

  draw(context, colour) {
    const side = context.canvas.width;
    context.clearRect(0, 0, side, side);
    if (this.image) {
      const scale = side / Math.max(this.image.width, this.image.height);
      const [width, height] = [this.image.width * scale, this.image.height * scale];
      context.imageSmoothingEnabled = this.draws;
      context.drawImage(this.image, (side - width) / 2, (side - height) / 2, width, height);
    }
    if (this.image && this.draws) {
      context.globalCompositeOperation = "source-in"; // the image's white becomes the colour of ink
      context.fillStyle = colour;
      context.fillRect(0, 0, side, side);
      context.globalCompositeOperation = "source-over";
    }
    Object.assign(context, { strokeStyle: colour, lineWidth: WIDTH * side, lineCap: "round", lineJoin: "round" });
    for (const stroke of this.strokes) {
      context.beginPath();
      context.moveTo(stroke[0].x * side + 0.1, stroke[0].y * side); // a dot is a line, too: one of no length is not drawn
      for (const { x, y } of stroke) context.lineTo(x * side, y * side);
      context.stroke();
    }
  }

  // The grey values that the server gets: how opaque each pixel is.
  pixels() {
    const context = this.grey.getContext("2d", { willReadFrequently: true });
    this.draw(context, "#fff");
    const rgba = context.getImageData(0, 0, SIDE, SIDE).data;
    const values = new Uint8Array(SIDE * SIDE);
    for (let i = 0; i < values.length; i++) values[i] = rgba[4 * i + 3];
    return values;
  }
}
