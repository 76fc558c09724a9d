// How one cell was computed: window, kernel, products, their sum, bias, ReLU; or the maximum.

import { css, largest, signed, textOn } from "./colours.js";

export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const minus = (text) => text.replaceAll("-", "−");
// Four digits; smaller numbers are written with an exponent, not as 0.
const number = (value) => minus(value !== 0 && Math.abs(value) < 5e-5 ? value.toExponential(1) : value.toFixed(4));
// For cells with little room.
const short = (value) => (value === 0 ? "0" : minus(value.toFixed(2)).replace("0.", ".").replace("−.00", ".00"));

// A grid of numbers on their colours; `null` is padding.
function grid(name, lines, most, { bare = false, winners = [], write = short } = {}) {
  const made = element("div", { className: bare ? "grid bare" : "grid", title: name });
  made.dataset.name = name;
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", `${name}: ${lines.map((line) => line.map((v) => (v === null ? "padding" : write(v))).join(" ")).join("; ")}`);
  made.style.gridTemplateColumns = `repeat(${lines[0].length}, auto)`;
  lines.forEach((line, row) => line.forEach((value, column) => {
    const cell = element("span", { textContent: bare || value === null ? "" : write(value) });
    if (value === null) cell.className = "outside";
    else {
      const colour = signed(value, most);
      cell.style.background = css(colour);
      cell.style.color = textOn(colour);
      cell.dataset.value = value;
    }
    if (winners.some(([r, c]) => r === row && c === column)) cell.className = "winner";
    made.append(cell);
  }));
  return made;
}

const caption = (text, ...content) => element("figure", {}, ...content, element("figcaption", { textContent: text }));

function sums(lines) {
  const list = element("dl", { className: "sum" });
  for (const [name, text, value, result] of lines) {
    const shown = element("dd", { textContent: number(value), className: result ? "result" : "" });
    shown.dataset.name = name;
    list.append(element("dt", { textContent: text }), shown);
  }
  return list;
}

const total = (found, what) => sums([
  ["sum", `sum of ${what} products`, found.sum],
  ["bias", "+ bias", found.bias],
  ["value", "=", found.value, true],
  ...("relu" in found ? [["relu", "ReLU: max(0, ·)", found.relu, true]] : []),
]);

function conv(found) {
  const most = { window: 0, kernel: 0, products: 0 };
  for (const name in most) most[name] = largest(found[name].flat(2));
  const parts = (i, bare) => ["window", "kernel", "products"].map((name) => grid(name, found[name][i], most[name], { bare }));
  const factors = (i) => {
    const [window, kernel, products] = parts(i, false);
    const term = (sign, text, made) => element("div", { className: "term" }, sign, caption(text, made));
    return element("div", { className: "factors" }, term("", "window", window), term("×", "kernel", kernel),
      term("=", `products, sum ${number(found.sums[i])}`, products));
  };
  const count = found.window.flat(2).length;
  if (found.channels.length === 1) return [factors(0), total(found, count)];
  const strongest = found.sums.reduce((best, sum, i) => (Math.abs(sum) > Math.abs(found.sums[best]) ? i : best), 0);
  const channels = found.channels.map((channel, i) => {
    const [window, kernel, products] = parts(i, true);
    return element("details", { open: i === strongest }, element("summary", {}, `map ${channel}`, window, "×", kernel, "=", products,
      number(found.sums[i])), factors(i));
  });
  return [total(found, count), element("p", { className: "help", textContent: "by map of the layer before:" }), ...channels];
}

function dense(found) {
  const row = (...cells) => element("tr", {}, ...cells.map((text) => element("td", { textContent: text })));
  const head = element("tr", {}, ...["input", "value", "weight", "product"].map((text) => element("th", { textContent: text, scope: "col" })));
  const lines = found.strongest.map((p) => row(p.input, number(p.x), number(p.weight), number(p.product)));
  const rest = row(`${found.inputs - lines.length} others`, "", "", number(found.rest));
  return [element("p", { className: "help", textContent: "the strongest products" }), element("table", {}, head, ...lines, rest), total(found, found.inputs)];
}

function pool(found) {
  const most = largest(found.window.flat());
  const max = found.kind === "max";
  const made = grid("window", found.window, most, { winners: max ? found.winners : [], write: number });
  const text = max ? "Framed: the maximum, which gets the gradient in the backward pass; the other cells get none."
    : "The mean of the window. In the backward pass each cell gets an equal share of the gradient.";
  return [element("div", { className: "factors wide" }, made), element("p", { className: "help", textContent: text }),
    sums([["value", max ? "maximum" : "mean", found.value, true]])];
}

const other = (found) => [sums([["value", "value", found.value, true]])];

// Fill the panel. `title` names the cell; `extra` are lines under the arithmetic.
export function show(panel, found, title, held, close, extra) {
  const body = { conv, dense, max: pool, avg: pool, other }[found.kind](found);
  const button = element("button", { className: "close", textContent: held ? "Release" : "Close", onclick: close });
  panel.replaceChildren(button, element("h2", { textContent: title }), ...body, ...extra.map((text) => element("p", { className: "help", textContent: text })));
  panel.classList.remove("empty");
}

export function hide(panel) {
  panel.replaceChildren(element("h2", { textContent: "A cell" }), element("p", { className: "help", textContent:
    "Point at a cell of a picture to see its window in the layer before, and the arithmetic." }));
  panel.classList.add("empty");
}
