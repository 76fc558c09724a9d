// What one sees of a network that learns: status, answer, gradients, kernels and maps.

import { unpack } from "./api.js";
import { listClasses, showAnswer, showShares } from "./classes.js";
import { largest, signed } from "./colours.js";
import { amount, counted, element, percent, write } from "./format.js";
import { Picture } from "./picture.js";

const DECADES = [-7, 1]; // powers of ten that the bars of the gradients span
const COLOURS = { "": "--ink", A: "--ink", B: "--second" };

export class NetPanel {
  // name: "", or A or B in a race; described: what the server says of the network once; grown(): called where more is shown.
  constructor(name, described, classes, grown) {
    Object.assign(this, { name, described, classes, grown, pictures: new Map(), last: [] });
    this.status = element("p", { className: "status" }, this.title(""), element("span"));
    this.advice = element("p", {}, this.title(""), element("span"));
    this.answer = element("output", { textContent: "–" });
    this.answer.setAttribute("aria-live", "off");
    this.list = element("ol", { className: "classes" });
    this.list.setAttribute("aria-label", `Probability of each class${name && `, ${name}`}`);
    listClasses(this.list, classes, (parts) => element("div", { className: "class" }, ...parts));
    showShares(this.list, null);
    this.answers = element("div", { className: `answers side-${name}` }, element("h2", {}, this.title("Answer "), this.answer), this.list);
    this.gradients = element("div", { className: "gradients" });
    this.maps = element("div");
    this.layers = element("details", { className: "net-layers" }, element("summary", { textContent: `${counted(described.weights, "weight")} in ${counted(described.layers.length, "layer")}` }),
      element("ol", {}, ...described.layers.map((textContent) => element("li", { textContent }))));
    this.element = element("article", { className: `net side-${name}` }, ...(name ? [this.answers] : []), this.layers,
      element("h3", { textContent: "Gradient of each layer " }, element("small", { textContent: "root mean square, on a scale of powers of ten" })), this.gradients, this.maps);
  }

  title(text) {
    const mark = element("span", { className: `mark-${this.name}`, textContent: this.name });
    return element("span", { className: "who" }, ...(this.name ? [mark, " "] : []), text);
  }

  show(seen, playing) {
    const { step, rate, train, test } = seen;
    const [loss, accuracy] = train.at(-1)?.slice(1) ?? [];
    const tested = test.at(-1)?.[2];
    this.last = [undefined, loss === undefined ? "" : amount(loss), accuracy === undefined ? "" : percent(accuracy)];
    const text = [`Step ${step.toLocaleString("en")}, epoch ${(step / this.described.steps_per_epoch).toFixed(2)}`,
      !step ? "random weights" : loss === undefined ? "" : `loss ${amount(loss)}, accuracy ${percent(accuracy)}`,
      tested === undefined || !step ? "" : `${percent(tested)} of ${this.described.tests.toLocaleString("en")} test images`,
      playing && rate ? `${counted(Math.round(rate), "step")} a second` : ""].filter(Boolean).join("; ");
    write(this.status.lastChild, `${text}.`);
    const advice = [seen.error, seen.advice].filter(Boolean).join(" ");
    this.advice.firstChild.hidden = !advice;
    write(this.advice.lastChild, advice);
    this.showGradients(seen.gradients, seen.dead);
    const shares = seen.probabilities ? unpack(seen.probabilities).values : null;
    showAnswer(this.answer, this.classes, shares);
    showShares(this.list, shares?.every(Number.isFinite) ? shares : null);
    const maps = (seen.maps ?? []).map(({ name, values }) => [name, `Output of ${name}`, values]);
    const all = seen.kernels ? [["kernels", "Kernels of the first layer", seen.kernels], ...maps] : maps;
    for (const [name, title, packed] of all) this.paint(name, title, unpack(packed));
    for (const [name, { item }] of this.pictures) item.hidden = !all.some(([shown]) => shown === name);
  }

  // What a screen reader hears of a curve.
  said(column) {
    return this.last[column] && `${this.name && `${this.name}: `}now ${this.last[column]}`;
  }

  // Curves for `drawChart`, in epochs.
  curves({ train, test }, column) {
    const colour = COLOURS[this.name];
    const points = (curve) => curve.map((point) => [point[0] / this.described.steps_per_epoch, point[column]]);
    return [{ points: points(train), colour, name: this.name }, { points: points(test), colour, dashed: true }];
  }

  showGradients(layers, dead) {
    if (this.gradients.children.length !== layers.length) {
      this.gradients.replaceChildren(...layers.map(({ name }) => element("div", { className: "row" }, element("span", { textContent: `${name} ` }, element("small")),
        element("span", { className: "track" }, element("i", { className: "now" })), element("span", { className: "value" }))));
      this.grown();
    }
    layers.forEach(({ name, size }, i) => {
      const [title, track, value] = this.gradients.children[i].children;
      const share = size > 0 ? (Math.log10(size) - DECADES[0]) / (DECADES[1] - DECADES[0]) : 0;
      track.firstChild.style.transform = `scaleX(${Math.min(1, Math.max(0, share))})`;
      const units = dead.find((one) => one.name === name);
      write(title.lastChild, units?.dead ? `${units.dead} of ${units.units} dead` : "");
      write(value, size > 1e30 ? "∞" : amount(size));
    });
    this.gradients.hidden = !layers.length;
  }

  paint(name, title, { shape, values }) {
    let shown = this.pictures.get(name);
    if (!shown) {
      const scale = element("small");
      const picture = new Picture(shape, `${title}${this.name && `, ${this.name}`}`);
      const item = element("div", { className: "layer" }, element("h3", { textContent: `${title} ` }, scale), picture.element);
      this.maps.append(item);
      this.pictures.set(name, (shown = { scale, picture, item, usual: picture.scale }));
      this.grown();
    }
    const most = largest(values);
    shown.picture.paint(values, (value) => signed(value, most));
    const dark = name === "kernels" ? 0 : countDark(values, shape[2]);
    write(shown.scale, `largest ${amount(most)}${dark ? `; ${dark} of ${shape[2]} maps are 0 everywhere for this image` : ""}`);
  }

  // Lay the pictures out, larger than usual by a factor.
  arrange(factor) {
    for (const { picture, usual } of this.pictures.values()) {
      picture.scale = Math.max(1, Math.round(2 * usual * factor) / 2);
      picture.arrange(this.maps.clientWidth || 200);
    }
  }
}

function countDark(values, maps) {
  const lit = new Uint8Array(maps);
  for (let i = 0, map = 0; i < values.length; i++, map = map + 1 === maps ? 0 : map + 1) if (values[i] !== 0) lit[map] = 1;
  return lit.reduce((dark, one) => dark - one, maps);
}
