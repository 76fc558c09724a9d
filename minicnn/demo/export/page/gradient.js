// The gradients of all stages from that of the last one: what the layers' backward computes, for one image.

import { curveOf } from "./curves.js";
import { outputsOf } from "./forward.js";
import { eachTap, placesNear, placesUnder } from "./windows.js";

function conv(rule, x, y, dy, weights) {
  const dx = new Float64Array(x.values.length);
  eachTap(rule, x.shape, y.shape, (place, at, from, channels) => {
    const d = dy[place];
    for (let k = 0; d && k < channels.length; k++) dx[at + channels[k]] += d * weights[from + k];
  });
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
function pool(rule, x, y, dy) {
  const dx = new Float64Array(x.values.length);
  const { mode, ties } = rule;
  dy.forEach((d, place) => {
    if (!d) return;
    let window = placesUnder({ ...rule, out: y.shape }, x.shape, place);
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

function subsample({ factor }, x, y, dy, weights) {
  const channels = x.shape[2];
  return pool({ mode: "avg", strides: [2, 2], span: [2, 2] }, x, y, dy.map((d, i) => 4 * d * weights[factor + (i % channels)]));
}

function lrn({ size, k, alpha, beta }, x, y, dy) {
  const near = (i) => placesNear(size, x.shape.at(-1), i);
  const sums = Float64Array.from(x.values, (_, i) => k + alpha * near(i).reduce((sum, j) => sum + x.values[j] ** 2, 0));
  const crossed = sums.map((sum, i) => dy[i] * x.values[i] * sum ** (-beta - 1));
  return sums.map((sum, i) => dy[i] * sum ** -beta - 2 * alpha * beta * x.values[i] * near(i).reduce((all, j) => all + crossed[j], 0));
}

function norm({ gamma, deviation }, x, y, dy, weights) {
  const channels = x.shape.at(-1);
  return dy.map((d, i) => (d * weights[gamma + (i % channels)]) / weights[deviation + (i % channels)]);
}

function elementwise(rule, x, y, dy, weights) {
  const { slope } = curveOf(rule, weights);
  return dy.map((d, i) => d * slope(x.values[i], i, y.values[i]));
}

// The gradient of the input is the sum over the branches; partOf(shape, number) is that of the end of one.
function branched({ branches }, x, weights, partOf) {
  const dx = new Float64Array(x.values.length);
  branches.forEach((rules, number) => {
    const stages = [x, ...outputsOf(rules, x, weights)];
    gradientsOf(rules, weights, stages, partOf(stages.at(-1).shape, number))[0].values.forEach((d, i) => { dx[i] += d; });
  });
  return dx;
}

const residual = (rule, x, y, dy, weights) => branched(rule, x, weights, () => dy);

function concatenate(rule, x, y, dy, weights) {
  const channels = y.shape.at(-1);
  let first = 0;
  return branched(rule, x, weights, (shape) => {
    const count = shape.at(-1);
    const part = dy.filter((_, i) => i % channels >= first && i % channels < first + count);
    first += count;
    return part;
  });
}

const BACKWARD = { conv, dense, pool, globalPool: pool, flatten: (rule, x, y, dy) => dy, elementwise, subsample, lrn, norm, residual, concatenate };

// Return an array for each stage, from the input on; `last` are the values of the gradient of the last one.
export function gradientsOf(rules, weights, stages, last) {
  const found = [Float64Array.from(last)];
  for (const [i, rule] of [...rules.entries()].reverse()) {
    found.unshift(BACKWARD[rule.kind](rule, stages[i], stages[i + 1], found[0], weights));
  }
  return found.map((values, i) => ({ shape: stages[i].shape, values: Float32Array.from(values) }));
}
