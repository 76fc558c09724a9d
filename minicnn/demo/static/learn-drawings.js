// A user's own drawings and pictures with what they are, kept in the browser, for a network to learn.

import { unpack } from "./api.js";
import { inked, largest } from "./colours.js";
import { counted, element } from "./format.js";
import { Picture } from "./picture.js";

const KEY = "minicnn-drawings";
const SHOWN = 40; // small pictures of the latest, fewer of larger ones
const SIDE = 28; // of a small one

export class Collection {
  // part: the element; most: how many the server takes, 0 for none; image(): promises base64 of what the pad shows, or null;
  // changed(added) after each change.
  constructor(part, most, net, image, changed) {
    Object.assign(this, { most, net, changed, size: net.input.reduce((product, length) => product * length) });
    this.$ = (id) => part.querySelector(`#${id}`);
    part.hidden = !most;
    this.drawings = this.read();
    net.classes.forEach((name, value) => this.$("label").append(element("option", { value, textContent: name })));
    this.$("add").addEventListener("click", async () => this.add(await image()));
    this.$("forget").addEventListener("click", () => { this.drawings = []; this.keep(); });
    this.show();
  }

  // What an older page or another network left is no drawing for this one.
  read() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY)) ?? [];
      const fits = ({ image, label }) => atob(image).length === this.size && Number.isInteger(label) && label >= 0 && label < this.net.classes.length;
      return kept.filter(fits).slice(0, this.most);
    } catch {
      return [];
    }
  }

  add(image) {
    if (!image) this.say(this.net.draws ? "Draw something first, or choose a picture." : "Choose a picture first.");
    else if (this.drawings.length >= this.most) this.say(`There is room for ${this.most} images.`);
    else {
      this.drawings.push({ image, label: Number(this.$("label").value) });
      this.keep(true);
    }
  }

  keep(added = false) {
    try {
      localStorage.setItem(KEY, JSON.stringify(this.drawings));
    } catch { /* a browser without storage keeps them until the page is left */ }
    this.show();
    this.changed(added);
  }

  say(text) {
    this.$("collected").textContent = text;
  }

  show() {
    const counts = this.net.classes.map((name, label) => [name, this.drawings.filter((one) => one.label === label).length]);
    const each = counts.filter(([, count]) => count).map(([name, count]) => `${name}: ${count}`).join(", ");
    this.say(this.drawings.length ? `${counted(this.drawings.length, "image")} (${each})` : "None yet.");
    this.$("forget").disabled = !this.drawings.length;
    this.$("thumbnails").replaceChildren(...(this.drawings.length ? [this.picture()] : []));
  }

  // Their grey values, as maps of one picture.
  picture() {
    const [rows, columns, channels] = this.net.input;
    const count = Math.max(1, Math.floor(SHOWN * Math.min(1, SIDE ** 2 / (rows * columns))));
    const latest = this.drawings.slice(-count).map(({ image }) => unpack({ shape: this.net.input, dtype: "uint8", data: image }).values);
    const values = new Float32Array(rows * columns * latest.length);
    latest.forEach((pixels, map) => pixels.forEach((value, i) => { values[Math.floor(i / channels) * latest.length + map] += value / channels; }));
    const picture = new Picture([rows, columns, latest.length], `The latest ${counted(latest.length, "image")}`, null, 1);
    picture.arrange(230);
    const most = largest(values);
    picture.paint(values, (value) => inked(value, most));
    return picture.element;
  }
}
