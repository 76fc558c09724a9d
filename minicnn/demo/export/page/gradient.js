// The gradients of all stages from that of the last one: what the layers' backward computes, for one image.

import { filterOf, indices } from "./cells.js";

// Plain loops: arrays made within them would take most of the time.
function conv({ size, strides, pads, dilation, ...rule }, x, y, dy, weights) {
  const [height, width, depth] = x.shape;
  const [, columns, filters] = y.shape;
  const dx = new Float64Array(x.values.length);
  for (let filter = 0; filter < filters; filter++) {
    const { channels, start } = filterOf({ size, ...rule }, filter);
    const count = channels.length;
    for (let place = filter, cell = 0; place < dy.length; place += filters, cell++) {
      const d = dy[place];
      if (!d) continue;
      const top = Math.floor(cell / columns) * strides[0] - pads[0];
      const left = (cell % columns) * strides[1] - pads[1];
      for (let i = 0, from = start; i < size[0]; i++) {
        const row = top + i * dilation[0];
        for (let j = 0; j < size[1]; j++, from += count) {
          const column = left + j * dilation[1];
          if (row < 0 || column < 0 || row >= height || column >= width) continue;
          const to = (row * width + column) * depth;
          for (let k = 0; k < count; k++) dx[to + channels[k]] += d * weights[from + k];
        }
      }
    }
  }
  return dx;
}

function dense({ kernel }, x, y, dy, weights) {
  const inputs = x.values.length;
  const dx = new Float64Array(inputs);
  dy.forEach((d, unit) => {
    for (let i = 0; d && i < inputs; i++) dx[i] += d * weights[kernel + unit * inputs + i];
  });
  return dx;
}

// Give the gradient of each window to its cells: equal shares of a mean, or all to the maximum, by the rule for ties.
function pool({ mode, ties, strides, pads, span }, x, y, dy) {
  const [height, width, channels] = x.shape;
  const columns = y.shape.length === 3 ? y.shape[1] : 1;
  const dx = new Float64Array(x.values.length);
  const along = (first, count, end) => indices(count, first).filter((i) => i >= 0 && i < end);
  dy.forEach((d, place) => {
    if (!d) return;
    const [cell, channel] = [Math.floor(place / channels), place % channels];
    const inRows = along(Math.floor(cell / columns) * strides[0] - pads[0], span[0], height);
    const inColumns = along((cell % columns) * strides[1] - pads[1], span[1], width);
    let window = inRows.flatMap((row) => inColumns.map((column) => (row * width + column) * channels + channel));
    if (mode === "max") {
      const most = window.reduce((best, i) => Math.max(best, x.values[i]), -Infinity);
      window = window.filter((i) => x.values[i] === most);
      if (ties === "first") window.length = 1;
    }
    const share = mode === "max" && ties === "all" ? d : d / window.length;
    for (const i of window) dx[i] += share;
  });
  return dx;
}

const globalPool = (rule, x, y, dy) => pool({ ...rule, strides: [1, 1], pads: [0, 0], span: x.shape }, x, y, dy);

function subsample({ factor }, x, y, dy, weights) {
  const mean = { mode: "avg", strides: [2, 2], pads: [0, 0], span: [2, 2] };
  const channels = x.shape[2];
  return pool(mean, x, y, dy.map((d, i) => 4 * d * weights[factor + (i % channels)]));
}

function lrn({ size, k, alpha, beta }, x, y, dy) {
  const [channels, half] = [x.shape.at(-1), Math.floor(size / 2)];
  const near = (i) => indices(size, (i % channels) - half).filter((c) => c >= 0 && c < channels).map((c) => i - (i % channels) + c);
  const sums = Float64Array.from(x.values, (_, i) => k + alpha * near(i).reduce((sum, j) => sum + x.values[j] ** 2, 0));
  const crossed = sums.map((sum, i) => dy[i] * x.values[i] * sum ** (-beta - 1));
  return sums.map((sum, i) => dy[i] * sum ** -beta - 2 * alpha * beta * x.values[i] * near(i).reduce((all, j) => all + crossed[j], 0));
}

function norm({ gamma, deviation }, x, y, dy, weights) {
  const channels = x.shape.at(-1);
  return dy.map((d, i) => (d * weights[gamma + (i % channels)]) / weights[deviation + (i % channels)]);
}

const SLOPES = {
  linear: ({ below, above }) => (x) => (x > 0 ? above : below),
  sigmoid: () => (x, y) => y * (1 - y),
  tanh: ({ amplitude, steepness }) => (x, y) => steepness * (amplitude - y ** 2 / amplitude),
};

function elementwise({ slope }, x, y, dy) {
  const of = SLOPES[slope.kind](slope);
  return dy.map((d, i) => d * of(x.values[i], y.values[i]));
}

const BACKWARD = { conv, dense, pool, globalPool, flatten: (rule, x, y, dy) => dy, elementwise, subsample, lrn, norm };

// Return an array for each stage, from the input on; `last` are the values of the gradient of the last one.
export function gradientsOf(rules, weights, stages, last) {
  const found = [Float64Array.from(last)];
  for (const [i, rule] of [...rules.entries()].reverse()) {
    found.unshift(BACKWARD[rule.kind](rule, stages[i], stages[i + 1], found[0], weights));
  }
  return found.map((values, i) => ({ shape: stages[i].shape, values: Float32Array.from(values) }));
}
