// The arithmetic of one window as it goes on: its grids or its table, the step that runs, and the sum so far.

import { largest } from "./colours.js";
import { element, number as digits, short } from "./format.js";
import { grid } from "./inspector.js";
import { ending } from "./terms.js";

const HIDDEN = ["products", "shares", "given"]; // until they are computed
const CAPTIONS = { shares: "share of the gradient", given: "kernel × gradient" };

// The grids that show a window, by name, with one for each channel.
function partsOf({ kind, window, shares, kernel, products }, backward, gradient) {
  if (kind !== "conv") return backward ? { window: [window], shares: [shares] } : { window: [window] };
  if (!backward) return { window, kernel, products };
  return { kernel, given: kernel.map((lines) => lines.map((line) => line.map((weight) => weight * gradient))) };
}

// How to write numbers of at most this size. Gradients may be small: then in units of a power of ten.
function writerOf(name, most) {
  const power = name === "given" && most ? Math.max(0, -Math.floor(Math.log10(most)) - 1) : 0;
  return power > 1 ? [(value) => short(value * 10 ** power), `, in units of 1e−${power}`] : [short, ""];
}

export class SumPanel {
  constructor(place) {
    this.place = place;
    this.line = element("p", { className: "term-line" });
    this.sum = element("dl", { className: "sum" });
    this.parts = element("p", { className: "help" });
  }

  // A new window: run has {found, backward, gradient, terms}.
  fill({ found, backward, gradient, terms }) {
    this.rows = found.kind === "dense" ? terms.map(({ text }) => element("tr", {}, element("td", { textContent: text }))) : [];
    this.grids = found.kind === "dense" ? [] : Object.entries(partsOf(found, backward, gradient)).map(([name, channels]) => {
      const most = largest(channels.flat(2).map((value) => value ?? 0));
      const [write, unit] = writerOf(name, most);
      return { name, made: channels.map((lines) => grid(name, lines, most, { write })), caption: `${CAPTIONS[name] ?? name}${unit}` };
    });
    this.boxes = this.grids.map(({ caption }) => element("figure", {}, element("figcaption", { textContent: caption })));
    const shown = this.rows.length ? element("table", { className: "steps" }, ...this.rows) : element("div", { className: "factors" }, ...this.boxes);
    this.place.replaceChildren(this.line, shown, this.sum, this.parts);
  }

  draw({ found, terms, term, whole, ...run }) {
    const current = whole ? null : terms[term - 1];
    const { channel } = current ?? terms[0];
    this.drawSteps(terms, term, current, channel);
    this.line.textContent = whole ? run.wholeText : `${run.place(channel)}: ${current ? current.text : "starts"}`;
    const rows = whole ? [] : this.sumsOf(found, terms, term, run);
    this.sum.replaceChildren(...rows.flatMap(([text, value], i) => {
      const shown = element("dd", { textContent: digits(value), className: i && i === rows.length - 1 ? "result" : "" });
      Object.assign(shown.dataset, { name: i ? "end" : "sum", value });
      return [element("dt", { textContent: text }), shown];
    }));
    const finished = terms.filter((one, i) => i < term && i + 1 < terms.length && terms[i + 1].channel > one.channel).length;
    const last = term === terms.length && found.sums?.length > 1 ? found.sums.length : finished;
    if (run.backward) this.parts.textContent = whole ? "" : "Outputs whose gradient is 0 pass nothing back: they are skipped.";
    else this.parts.textContent = whole || !last ? "" : `Sum of each map: ${found.sums.slice(0, last).map((one, i) => `${found.channels[i]}: ${digits(one)}`).join(", ")}`;
  }

  drawSteps(terms, term, current, channel) {
    this.rows.forEach((row, i) => {
      row.classList.toggle("now", Boolean(current) && i === term - 1);
      row.classList.toggle("later", i >= term);
    });
    this.grids.forEach(({ made, name }, i) => {
      if (made[channel].parentElement !== this.boxes[i]) this.boxes[i].replaceChildren(made[channel], this.boxes[i].lastChild);
      const across = made[channel].style.getPropertyValue("--across");
      [...made[channel].children].forEach((cell, at) => {
        const done = terms.findIndex((one) => one.channel === channel && one.row === Math.floor(at / across) && one.column === at % across);
        cell.classList.toggle("now", Boolean(current) && done === term - 1);
        cell.classList.toggle("later", HIDDEN.includes(name) && (done >= term || done < 0));
      });
    });
  }

  sumsOf(found, terms, term, { backward, gradient }) {
    if (backward) return [["gradient of the output", gradient]];
    const nothing = found.kind === "max" ? null : 0;
    const name = found.kind === "max" ? "largest so far" : `sum of ${term} of ${terms.length}`;
    const sum = [name, term ? terms[term - 1].total : nothing];
    return [sum, ...(term === terms.length ? ending(found) : [])].filter(([, value]) => value !== null);
  }
}
