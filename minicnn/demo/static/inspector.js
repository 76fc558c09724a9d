// How one cell was computed: window, kernel, products, their sum, bias, ReLU; or the maximum; or a formula.

import { css, largest, signed, textOn } from "./colours.js";
import { element, number, short } from "./format.js";

// A grid of numbers on their colours; `null` is padding.
export function grid(name, lines, most, { bare = false, winners = [], write = short } = {}) {
  const made = element("div", { className: bare ? "grid bare" : "grid", title: name });
  made.dataset.name = name;
  made.setAttribute("role", "img");
  made.setAttribute("aria-label", `${name}: ${lines.map((line) => line.map((v) => (v === null ? "padding" : write(v))).join(" ")).join("; ")}`);
  made.style.gridTemplateColumns = `repeat(${lines[0].length}, auto)`;
  made.style.setProperty("--across", lines[0].length);
  lines.forEach((line, row) => line.forEach((value, column) => {
    const cell = element("span", { textContent: bare || value === null ? "" : write(value) });
    if (value === null) cell.className = "outside";
    else cell.dataset.value = value;
    if (winners.some(([r, c]) => r === row && c === column)) cell.className = "winner";
    made.append(cell);
  }));
  made.repaint = () => { for (const cell of made.children) colourCell(cell, most); };
  made.repaint();
  return made;
}

function colourCell(cell, most) {
  if (!("value" in cell.dataset)) return; // padding
  const colour = signed(Number(cell.dataset.value), most);
  cell.style.background = css(colour);
  cell.style.color = textOn(colour);
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
  ...relu(found),
]);

function conv(found) {
  const most = { window: 0, kernel: 0, products: 0 };
  for (const name in most) most[name] = largest(found[name].flat(2));
  const parts = (i, bare) => ["window", "kernel", "products"].map((name) => grid(name, found[name][i], most[name], { bare }));
  const factors = (i) => {
    const [window, kernel, products] = parts(i, false);
    const term = (sign, text, made) => element("div", { className: "term" }, sign, caption(text, made));
    const narrow = found.window[i][0].length <= 5; // then all three fit side by side
    return element("div", { className: narrow ? "factors three" : "factors" }, term("", "window", window), term("×", "kernel", kernel),
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

function table(head, rows) {
  const line = (tag, properties, cells) => element("tr", {}, ...cells.map((text) => element(tag, { textContent: text, ...properties })));
  return element("table", {}, line("th", { scope: "col" }, head), ...rows.map((cells) => line("td", {}, cells)));
}

const place = (cell) => (cell.length === 3 ? `map ${cell[2]}, row ${cell[0]}, column ${cell[1]}` : `${cell[0]}`);

const help = (text) => element("p", { className: "help", textContent: text });

function dense(found) {
  const rows = found.strongest.map((p) => [place(p.cell), number(p.x), number(p.weight), number(p.product)]);
  const others = found.inputs - rows.length;
  if (others) rows.push([`${others} others`, "", "", number(found.rest)]);
  return [help("the strongest products, framed in the pictures"), table(["input", "value", "weight", "product"], rows), total(found, found.inputs)];
}

function pool(found) {
  const most = largest(found.window.flat());
  const max = found.kind === "max";
  const small = found.window[0].length <= 4;
  const made = grid("window", found.window, most, { winners: max ? found.winners : [], write: small ? number : short });
  const text = max ? "Framed: the maximum, which gets the gradient in the backward pass; the other cells get none."
    : "The mean of the window. In the backward pass each cell gets an equal share of the gradient.";
  return [element("div", { className: small ? "factors wide" : "factors" }, made), help(text),
    sums([["value", max ? "maximum" : "mean", found.value, true]])];
}

const relu = (found) => ("relu" in found ? [["relu", "ReLU: max(0, ·)", found.relu, true]] : []);

function subsample(found) {
  const made = grid("window", found.window, largest(found.window.flat()), { write: number });
  return [element("div", { className: "factors wide" }, made), sums([
    ["sum", "sum of the window", found.sum],
    ["factor", "× trained factor", found.factor],
    ["bias", "+ trained bias", found.bias],
    ["value", "=", found.value, true],
  ])];
}

function lrn(found) {
  const rows = found.neighbours.map(({ map, x }) => [`map ${map}`, number(x), number(x * x)]);
  return [help("the same pixel in the neighbouring maps"), table(["", "value", "square"], rows), sums([
    ["squares", "sum of the squares", found.squares],
    ["denominator", `(${found.k} + ${found.alpha} × sum) ^ ${found.beta}`, found.denominator],
    ["x", "the value itself", found.x],
    ["value", "value ÷ denominator", found.value, true],
  ])];
}

const norm = (found) => [sums([
  ["x", "value", found.x],
  ["mean", "− running mean", found.mean],
  ["deviation", "÷ running deviation", found.deviation],
  ["gamma", "× gamma", found.gamma],
  ["beta", "+ beta", found.beta],
  ["value", "=", found.value, true],
  ...relu(found),
])];

const elementwise = (found) => [sums([["x", "value", found.x], ["value", found.function, found.value, true], ...relu(found)])];

const flatten = (found) => [help(`Flatten changes no number: this is ${place(found.from)}.`), sums([["value", "value", found.value, true]])];

const other = (found) => [help("The arithmetic of this layer has no picture yet."), sums([["value", "value", found.value, true], ...relu(found)])];

const KINDS = { conv, dense, max: pool, avg: pool, subsample, lrn, norm, elementwise, flatten, other };

// Fill the panel. `title` names the cell; `extra` are lines under the arithmetic.
export function show(panel, found, title, held, close, extra) {
  const body = KINDS[found.kind](found);
  const button = element("button", { className: "close", textContent: held ? "Release" : "Close", onclick: close });
  panel.replaceChildren(button, element("h2", { textContent: title }), ...body, ...extra.map((text) => element("p", { className: "help", textContent: text })));
  panel.classList.remove("empty");
}

export function hide(panel) {
  panel.replaceChildren(element("h2", { textContent: "A cell" }), element("p", { className: "help", textContent:
    "Point at a cell of a picture to see its window in the layer before, and the arithmetic." }));
  panel.classList.add("empty");
}
