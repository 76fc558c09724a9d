// A window of the user's own over an image, and a network without some filters, as minicnn/demo/whatif.py computes them.

import { explainCell } from "./arithmetic.js";
import { outputOf } from "./forward.js";

// Rows or columns of padding before and after an axis of n.
function padsOf(padding, n, span, stride) {
  if (padding !== "same") return padding === "valid" ? [0, 0] : [padding, padding];
  const total = Math.max(0, (Math.ceil(n / stride) - 1) * stride + span - n);
  return [Math.floor(total / 2), Math.ceil(total / 2)];
}

function axisOf(name, n, { size, stride, dilation, padding, operation }) {
  const span = (size - 1) * dilation + 1;
  const [before, after] = padsOf(padding, n, span, stride);
  const length = n + before + after;
  if (span > length) {
    throw new Error(`the window spans ${span} ${name}, but the image has ${length} with its padding: choose a smaller kernel or dilation, or more padding`);
  }
  if (operation !== "conv" && Math.max(before, after) >= size) {
    throw new Error(`a pooling window of ${size}×${size} takes a padding of at most ${size - 1}, so that each covers a part of the image`);
  }
  return { n, before, after, out: Math.floor((length - span) / stride) + 1 };
}

// The window as a rule, as those of the network's layers, and its weights; all channels have the same kernel.
function layerOf({ operation, size, stride, dilation, kernel }, [rows, columns], channels) {
  const span = (size - 1) * dilation + 1;
  const place = { strides: [stride, stride], pads: [rows.before, columns.before], span: [span, span] };
  if (operation !== "conv") return [{ kind: "pool", mode: operation, ties: "first", ...place, out: [rows.out, columns.out, channels] }, []];
  const weights = kernel.flat().flatMap((weight) => Array(channels).fill(weight));
  const rule = { kind: "conv", size: [size, size], dilation: [dilation, dilation], depth: channels, filters_per_group: 1, kernel: 0, bias: null };
  return [{ ...rule, ...place, out: [rows.out, columns.out, 1] }, weights];
}

// The output of a window over an image {shape, values}, its geometry, and how a cell was computed.
export function slide(x, { cell, ...window }) {
  const axes = [["rows", x.shape[0]], ["columns", x.shape[1]]].map(([name, n]) => axisOf(name, n, window));
  const [rule, weights] = layerOf(window, axes, x.shape[2]);
  const y = outputOf(rule, x, weights);
  const found = cell ? { cell: { ...explainCell(rule, x, y, cell, weights), stage: 1, source: 0, cell } } : {};
  return { x, y, axes, span: rule.span[0], ...found };
}

// The outputs of all layers where maps [stage, map] are zero, from those of the whole network.
export function without(rules, weights, stages, off) {
  const [x, ...outputs] = stages;
  let last = x, changed = false;
  return [x, ...rules.map((rule, i) => {
    last = changed ? outputOf(rule, last, weights) : outputs[i];
    const maps = off.filter(([stage]) => stage === i + 1).map(([, map]) => map);
    if (maps.length) {
      changed = true;
      const count = last.shape.at(-1);
      last = { shape: last.shape, values: last.values.map((value, place) => (maps.includes(place % count) ? 0 : value)) };
    }
    return last;
  })];
}
