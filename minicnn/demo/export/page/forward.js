// The outputs of layers for one image, by plain arithmetic: of a network without some filters, of what is inside of a
// layer with branches, and of the whole network where there is no onnxruntime-web.

import { curveOf } from "./curves.js";
import { eachTap, placesNear, placesUnder } from "./windows.js";

const sizeOf = (shape) => shape.reduce((product, length) => product * length, 1);

const filled = (out, value) => Float64Array.from({ length: sizeOf(out) }, (_, place) => value(place));

function conv(rule, x, weights) {
  const filters = rule.out[2];
  const y = filled(rule.out, (place) => (rule.bias === null ? 0 : weights[rule.bias + (place % filters)]));
  eachTap(rule, x.shape, rule.out, (place, at, from, channels) => {
    for (let k = 0; k < channels.length; k++) y[place] += x.values[at + channels[k]] * weights[from + k];
  });
  return y;
}

function dense({ kernel, bias, out }, x, weights) {
  const inputs = x.values.length;
  return filled(out, (unit) => {
    let sum = bias === null ? 0 : weights[bias + unit];
    for (let i = 0; i < inputs; i++) sum += x.values[i] * weights[kernel + unit * inputs + i];
    return sum;
  });
}

function pool(rule, x) {
  return filled(rule.out, (place) => {
    const values = placesUnder(rule, x.shape, place).map((i) => x.values[i]);
    return rule.mode === "max" ? Math.max(...values) : values.reduce((sum, value) => sum + value, 0) / values.length;
  });
}

function subsample(rule, x, weights) {
  const channels = rule.out[2];
  const means = pool({ mode: "avg", strides: [2, 2], span: [2, 2], out: rule.out }, x);
  return means.map((mean, i) => 4 * mean * weights[rule.factor + (i % channels)] + weights[rule.bias + (i % channels)]);
}

function lrn({ size, k, alpha, beta, out }, x) {
  const squares = (place) => placesNear(size, out.at(-1), place).reduce((sum, i) => sum + x.values[i] ** 2, 0);
  return filled(out, (place) => x.values[place] / (k + alpha * squares(place)) ** beta);
}

function norm(rule, x, weights) {
  const channels = rule.out.at(-1);
  const of = (name, place) => weights[rule[name] + (place % channels)];
  return filled(rule.out, (i) => ((x.values[i] - of("mean", i)) / of("deviation", i)) * of("gamma", i) + of("beta", i));
}

function elementwise(rule, x, weights) {
  const { value } = curveOf(rule, weights);
  return filled(rule.out, (place) => value(x.values[place], place));
}

const endsOf = ({ branches }, x, weights) => branches.map((rules) => outputsOf(rules, x, weights).at(-1) ?? x);

const residual = (rule, x, weights) => {
  const [left, right] = endsOf(rule, x, weights);
  return filled(rule.out, (place) => left.values[place] + right.values[place]);
};

function concatenate(rule, x, weights) {
  const made = new Float64Array(sizeOf(rule.out));
  const channels = rule.out.at(-1);
  let first = 0;
  for (const { shape, values } of endsOf(rule, x, weights)) {
    const count = shape.at(-1);
    for (let i = 0; i < values.length; i++) made[Math.floor(i / count) * channels + first + (i % count)] = values[i];
    first += count;
  }
  return made;
}

const FORWARD = { conv, dense, pool, globalPool: pool, flatten: (rule, x) => x.values, elementwise, subsample, lrn, norm, residual, concatenate };

// The output {shape, values} of a layer.
export const outputOf = (rule, x, weights) => ({ shape: rule.out, values: Float32Array.from(FORWARD[rule.kind](rule, x, weights)) });

export function outputsOf(rules, x, weights) {
  let last = x;
  return rules.map((rule) => (last = outputOf(rule, last, weights)));
}
