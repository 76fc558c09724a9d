// The factors, products, sums and maxima behind one cell, as minicnn/demo/arithmetic.py finds them.
// A rule says how a layer computes; its arrays are places in the file of weights.

import { at, cellAt, filterOf, indices } from "./cells.js";
import { chain } from "./chain.js";

const total = (values) => values.reduce((sum, value) => sum + value, 0);

const cells = (x, list) => (x.shape.length === 2 ? {} : { cells: list });

const windowPlace = ({ strides, pads, span }, [row, column]) => ({
  top: row * strides[0] - pads[0], left: column * strides[1] - pads[1], rows: span[0], columns: span[1],
});

// The values under a window in one map, line by line, every `step` rows and columns; outside of the image `fill`.
function windowOf(x, { top, left, rows, columns }, channel, fill, step = [1, 1]) {
  const [height, width] = x.shape;
  const every = (count, by) => indices(Math.ceil(count / by)).map((i) => i * by);
  return every(rows, step[0]).map((dy) => every(columns, step[1]).map((dx) => {
    const [row, column] = [top + dy, left + dx];
    return row < 0 || column < 0 || row >= height || column >= width ? fill : at(x, [row, column, channel]);
  }));
}

function conv(rule, x, cell, weights) {
  const filter = cell[2];
  const [rows, columns] = rule.size;
  const { channels, start } = filterOf(rule, filter);
  const place = windowPlace(rule, cell);
  const kernel = channels.map((_, c) => indices(rows).map((row) => indices(columns).map(
    (column) => weights[start + (row * columns + column) * channels.length + c])));
  const window = channels.map((channel) => windowOf(x, place, channel, 0, rule.dilation));
  const products = window.map((map, c) => map.map((line, row) => line.map((value, column) => value * kernel[c][row][column])));
  const sums = products.map((map) => total(map.flat()));
  const bias = rule.bias === null ? 0 : weights[rule.bias + filter];
  return { kind: "conv", channels, window, kernel, products, sums, sum: total(sums), bias, ...place };
}

const SHOWN = 8; // products of a Dense

function dense(rule, x, [unit], weights) {
  const inputs = x.values.length;
  const start = rule.kernel + unit * inputs;
  const products = Array.from(x.values, (value, i) => value * weights[start + i]);
  const order = [...products.keys()].sort((a, b) => Math.abs(products[b]) - Math.abs(products[a]));
  const strongest = order.slice(0, SHOWN).map((input) => (
    { input, x: x.values[input], weight: weights[start + input], product: products[input], cell: cellAt(rule.before, input) }));
  const rest = total(order.slice(SHOWN).map((input) => products[input]));
  return { kind: "dense", inputs, strongest, rest, sum: total(products), bias: rule.bias === null ? 0 : weights[rule.bias + unit] };
}

function pooled({ mode, ties }, window) {
  const most = Math.max(...window.flat().filter((value) => value !== null));
  const best = window.flatMap((line, row) => line.flatMap((value, column) => (value === most ? [[row, column]] : [])));
  const winners = ties === "first" ? best.slice(0, 1) : best;
  const inside = window.flat().filter((value) => value !== null).length;
  const won = (row, column) => winners.some(([r, c]) => r === row && c === column);
  const share = (value, row, column) => { // of the gradient, in the backward pass
    if (mode === "avg") return value === null ? 0 : 1 / inside;
    return won(row, column) ? 1 / (ties === "split" ? winners.length : 1) : 0;
  };
  return { kind: mode, window, winners, shares: window.map((line, row) => line.map((value, column) => share(value, row, column))) };
}

function pool(rule, x, cell) {
  const place = windowPlace(rule, cell);
  return { ...pooled(rule, windowOf(x, place, cell[2], null)), channels: [cell[2]], ...place };
}

function globalPool(rule, x, [channel]) {
  const place = { top: 0, left: 0, rows: x.shape[0], columns: x.shape[1] };
  return { ...pooled(rule, windowOf(x, place, channel, null)), channels: [channel], ...place };
}

function flatten(rule, x, [index]) {
  const place = cellAt(x.shape, index);
  return { kind: "flatten", x: at(x, place), from: place, ...cells(x, [place]) };
}

const elementwise = (rule, x, cell) => ({ kind: "elementwise", function: rule.function, x: at(x, cell), ...cells(x, [cell]) });

function subsample(rule, x, [row, column, channel], weights) {
  const place = { top: 2 * row, left: 2 * column, rows: 2, columns: 2 };
  const window = windowOf(x, place, channel, 0);
  return { kind: "subsample", channels: [channel], ...place, window, sum: total(window.flat()),
    factor: weights[rule.factor + channel], bias: weights[rule.bias + channel] };
}

function lrn({ size, k, alpha, beta }, x, cell) {
  const [channel, half] = [cell.at(-1), Math.floor(size / 2)];
  const first = Math.max(0, channel - half);
  const maps = indices(Math.min(x.shape.at(-1), channel + half + 1) - first, first);
  const places = maps.map((map) => [...cell.slice(0, -1), map]);
  const neighbours = maps.map((map, i) => ({ map, x: at(x, places[i]) }));
  const squares = total(neighbours.map((one) => one.x ** 2));
  return { kind: "lrn", x: at(x, cell), neighbours, squares, k, alpha, beta, denominator: (k + alpha * squares) ** beta, ...cells(x, places) };
}

function norm(rule, x, cell, weights) {
  const values = ["mean", "deviation", "gamma", "beta"].map((name) => [name, weights[rule[name] + cell.at(-1)]]);
  return { kind: "norm", x: at(x, cell), ...Object.fromEntries(values), ...cells(x, [cell]) };
}

const KINDS = { conv, dense, pool, globalPool, flatten, elementwise, subsample, lrn, norm, other: () => ({ kind: "other" }) };

// How a layer computes a cell of its output y from its input x.
export function explainCell(rule, x, y, cell, weights) {
  const find = KINDS[rule.kind] ?? KINDS.other;
  return { ...find(rule, x, cell, weights), value: at(y, cell) };
}

// How a cell of a stage was computed: `requested` 0 is the input, i the output of layer i - 1. `rules` has one of each layer.
export function explain(rules, weights, stages, requested, cell) {
  const stage = rules[requested - 1].relu && requested > 1 ? requested - 1 : requested; // a ReLU is explained with the layer before it
  const rule = rules[stage - 1];
  const found = explainCell(rule, stages[stage - 1], stages[stage], cell, weights);
  if (rules[stage]?.relu) found.relu = at(stages[stage + 1], cell);
  return { ...found, stage: requested, source: rule.source ?? stage - 1, cell, chain: chain(rules, requested, cell) };
}
