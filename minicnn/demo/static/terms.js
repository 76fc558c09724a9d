// The arithmetic of a cell as a list of steps: each adds a product, compares a value, or passes a gradient back.

import { number } from "./format.js";

const cellsOf = (lines) => lines.flatMap((line, row) => line.map((value, column) => ({ value, row, column })));

function conv(found) {
  let sum = 0;
  return found.channels.flatMap((channel, i) => cellsOf(found.products[i]).map(({ value, row, column }) => {
    sum += value;
    const text = `${number(found.window[i][row][column])} × ${number(found.kernel[i][row][column])} = ${number(value)}`;
    return { channel: i, row, column, text, total: sum };
  }));
}

function max(found) {
  let most = -Infinity;
  return cellsOf(found.window).filter(({ value }) => value !== null).map(({ value, row, column }) => {
    const text = most === -Infinity ? `${number(value)} is the first` : `${number(value)} ${value > most ? ">" : "≤"} ${number(most)}`;
    most = Math.max(most, value);
    return { channel: 0, row, column, text, total: most };
  });
}

function sum(found) {
  let total = 0;
  return cellsOf(found.window).filter(({ value }) => value !== null).map(({ value, row, column }) => {
    total += value;
    return { channel: 0, row, column, text: `+ ${number(value)}`, total };
  });
}

function back(found, gradient) {
  return cellsOf(found.shares).filter(({ row, column }) => found.window[row][column] !== null).map(({ value, row, column }) => {
    const given = value * gradient;
    const text = value ? `${number(value)} × ${number(gradient)} = ${number(given)}` : "not the maximum: 0";
    return { channel: 0, row, column, text, given, total: given };
  });
}

const KINDS = { conv, max, avg: sum, subsample: sum };

export const hasTerms = (found, backward) => (backward ? "shares" in found : found.kind in KINDS);

export const termsOf = (found, backward, gradient) => (backward ? back(found, gradient) : KINDS[found.kind](found));

// What happens after the last term, as lines of text and value.
export function ending(found) {
  const relu = "relu" in found ? [["ReLU: max(0, ·)", found.relu]] : [];
  const real = found.kind === "avg" ? found.window.flat().filter((value) => value !== null).length : 0;
  const lines = {
    conv: () => [["+ bias", found.bias], ["=", found.value]],
    max: () => [["maximum", found.value]],
    avg: () => [[`÷ ${real}`, found.value]],
    subsample: () => [["× trained factor", found.factor], ["+ trained bias", found.bias], ["=", found.value]],
  };
  return [...lines[found.kind](), ...relu];
}
