// The arithmetic of a cell as a list of steps: each adds a product, compares a value, or passes a gradient back.
// `row` and `column` are places in the window's grid, `down` and `right` cells from its corner in the image.

import { number } from "./format.js";

const cellsOf = (lines) => lines.flatMap((line, row) => line.map((value, column) => ({ value, row, column, down: row, right: column })));

// Between the taps of a window, along rows and columns: more than 1 with dilation.
const gapsOf = ({ rows, columns, kernel: [lines] }) => [[rows, lines.length], [columns, lines[0].length]]
  .map(([span, taps]) => (taps > 1 ? (span - 1) / (taps - 1) : 1));

function taps(found, lines) {
  const [down, right] = gapsOf(found);
  return cellsOf(lines).map((one) => ({ ...one, down: one.row * down, right: one.column * right }));
}

function conv(found) {
  let sum = 0;
  return found.channels.flatMap((_, channel) => taps(found, found.products[channel]).map(({ value, ...place }) => {
    const { row, column } = place;
    sum += value;
    const text = `${number(found.window[channel][row][column])} × ${number(found.kernel[channel][row][column])} = ${number(value)}`;
    return { channel, ...place, text, total: sum };
  }));
}

// The strongest products one by one, then all others at once.
function dense(found) {
  let sum = 0;
  const steps = found.strongest.map(({ x, weight, product, cell }, row) => {
    sum += product;
    return { channel: 0, row, cell, text: `${number(x)} × ${number(weight)} = ${number(product)}`, total: sum };
  });
  const others = found.inputs - steps.length;
  if (!others) return steps;
  return [...steps, { channel: 0, row: steps.length, text: `+ ${number(found.rest)} of ${others} others`, total: sum + found.rest }];
}

function max(found) {
  let most = -Infinity;
  return cellsOf(found.window).filter(({ value }) => value !== null).map(({ value, ...place }) => {
    const text = most === -Infinity ? `${number(value)} is the first` : `${number(value)} ${value > most ? ">" : "≤"} ${number(most)}`;
    most = Math.max(most, value);
    return { channel: 0, ...place, text, total: most };
  });
}

function sum(found) {
  let total = 0;
  return cellsOf(found.window).filter(({ value }) => value !== null).map(({ value, ...place }) => {
    total += value;
    return { channel: 0, ...place, text: `+ ${number(value)}`, total };
  });
}

function poolBack(found, gradient) {
  return cellsOf(found.shares).filter(({ row, column }) => found.window[row][column] !== null).map(({ value, ...place }) => {
    const given = value * gradient;
    const text = value ? `${number(value)} × ${number(gradient)} = ${number(given)}` : "not the maximum: 0";
    return { channel: 0, ...place, text, given };
  });
}

// Each weight times the gradient goes to the cell that the weight was multiplied by.
function convBack(found, gradient) {
  return found.channels.flatMap((_, channel) => taps(found, found.kernel[channel]).map(({ value, ...place }) => {
    const given = value * gradient;
    return { channel, ...place, text: `${number(value)} × ${number(gradient)} = ${number(given)}`, given };
  }));
}

const FORWARD = { conv, dense, max, avg: sum, subsample: sum };
const BACKWARD = { conv: convBack, max: poolBack, avg: poolBack };

export const hasTerms = ({ kind }, backward) => kind in (backward ? BACKWARD : FORWARD);

export const termsOf = (found, backward, gradient) => (backward ? BACKWARD : FORWARD)[found.kind](found, gradient);

// What happens after the last term, as lines of text and value.
export function ending(found) {
  const relu = "relu" in found ? [["ReLU: max(0, ·)", found.relu]] : [];
  const real = found.kind === "avg" ? found.window.flat().filter((value) => value !== null).length : 0;
  const total = () => [["+ bias", found.bias], ["=", found.value]];
  const lines = {
    conv: total,
    dense: total,
    max: () => [["maximum", found.value]],
    avg: () => [[`÷ ${real}`, found.value]],
    subsample: () => [["× trained factor", found.factor], ["+ trained bias", found.bias], ["=", found.value]],
  };
  return [...lines[found.kind](), ...relu];
}
