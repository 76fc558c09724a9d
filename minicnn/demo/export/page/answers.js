// What the server of `minicnn demo` answers, from the files of this copy, by the same names and fields.

import { toBase64, unpack } from "../static/api.js";
import { explain } from "./arithmetic.js";
import { gradientsOf } from "./gradient.js";
import { fetchBytes, fetchJson } from "./files.js";
import { pictureReader, readDrawing } from "./inputs.js";
import * as whatif from "./whatif.js";

const NEEDS_SERVER = "This is a static copy of the page: what you asked for needs `minicnn demo`, on a computer with Python.";
const MISSING = "A file of this page could not be loaded: reload the page.";

const MADE_BY = { onnxruntime: "./network.js", script: "./computed.js", recorded: "./recorded.js" };

const sizeOf = (shape) => shape.reduce((product, length) => product * length, 1);
const once = (make) => { let made; return (...args) => (made ??= make(...args)); };

const copy = once(async () => {
  const found = await fetchJson("net.json");
  const { makeNetwork } = await import(MADE_BY[found.engine]);
  const images = once(() => fetchBytes("images.bin"));
  const weights = once(async () => new Float32Array(await fetchBytes("weights.bin")));
  const whole = { ...found, network: makeNetwork(found, images, weights), images, weights };
  if (found.engine !== "recorded") warmUp(whole).catch(() => {}); // errors are reported when something is asked
  else whole.network.catch(() => {});
  return whole;
});

// Code is slow when it first runs: not at the first stroke.
async function warmUp(found) {
  const blank = packed(new Uint8Array(sizeOf(found.net.input)), found.net.input);
  const stages = await stagesOf(found, blank);
  if (found.net.offers.includes("gradient")) gradientsOf(found.arithmetic, await found.weights(), stages, stages.at(-1).values);
}

// --- images -------------------------------------------------------------------------------------------------

const packed = (values, shape) => ({
  shape, values, dtype: values instanceof Uint8Array ? "uint8" : "float32",
  data: toBase64(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
});

// The image in a request; its values are bytes or floats.
function given({ net }, data) {
  const bytes = unpack({ dtype: "uint8", data }).values;
  return packed(bytes.length === sizeOf(net.input) ? bytes : new Float32Array(bytes.buffer), net.input);
}

// The image, or the drawing, of a request; null if the pad is empty.
function shown(found, { pixels, image }) {
  if (image) return given(found, image);
  const values = readDrawing(unpack({ dtype: "uint8", data: pixels }).values, found);
  return values && packed(values, found.net.input);
}

// What the first layer gets.
function inputOf({ input }, image) {
  const whole = input.bytes || !(image.values instanceof Uint8Array);
  return { shape: image.shape, values: Float32Array.from(image.values, whole ? (value) => value : (value) => value / 255) };
}

async function stagesOf(found, image) {
  const network = await found.network;
  const x = inputOf(found, image);
  const stages = [x, ...await network(x, image)];
  if (!stages.at(-1).values.every(Number.isFinite)) throw new Error("the network's numbers are not finite");
  return stages;
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Float64Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}

const lastStages = (found, data) => (found.last?.data === data ? found.last.stages : stagesOf(found, given(found, data)));

// --- answers ------------------------------------------------------------------------------------------------

async function look(found, { class: number = null, ...body }) {
  const image = shown(found, body);
  if (!image) return { image };
  const stages = await stagesOf(found, image);
  const probabilities = softmax(stages.at(-1).values);
  const answer = probabilities.indexOf(Math.max(...probabilities));
  const seen = { answer, class: number ?? answer, image, probabilities: { shape: [probabilities.length], values: probabilities }, stages };
  found.last = { data: image.data, stages };
  if (!found.net.offers.includes("gradient")) return seen;
  const only = probabilities.map((_, i) => (i === seen.class ? 1 : 0)); // of the logit, as the server
  return { ...seen, gradient: gradientsOf(found.arithmetic, await found.weights(), stages, only)[0] };
}

async function backward(found, { image, label }) {
  const stages = await lastStages(found, image);
  const probabilities = softmax(stages.at(-1).values);
  const last = probabilities.map((share, number) => share - (number === label ? 1 : 0));
  return { loss: -Math.log(probabilities[label]), stages: gradientsOf(found.arithmetic, await found.weights(), stages, last) };
}

async function cell(found, { image, stage, cell: place }) {
  return explain(found.arithmetic, await found.weights(), await lastStages(found, image), stage, place);
}

async function example({ net, examples, images }, { wrong }) {
  const choice = examples[wrong ? "wrong" : "any"];
  if (!choice.length) throw new Error("the model classifies all test images correctly: there is no misclassified one");
  const number = choice[Math.floor(Math.random() * choice.length)];
  const size = sizeOf(net.input);
  const Kind = examples.dtype === "uint8" ? Uint8Array : Float32Array;
  const values = new Kind(await images()).slice(number * size, (number + 1) * size);
  const { index, label } = examples.images[number];
  return { index, label, image: packed(values, net.input), of: examples.of, ...(wrong && { wrong: examples.misclassified }) };
}

async function slide(found, body) {
  const image = shown(found, body);
  return image ? { image, ...whatif.slide(inputOf(found, image), body) } : { image };
}

async function without(found, { off, ...body }) {
  const image = shown(found, body);
  if (!image) return { image };
  const whole = await lastStages(found, image.data);
  found.last = { data: image.data, stages: whole };
  const stages = whatif.without(found.arithmetic, await found.weights(), whole, off);
  const probabilities = ({ shape, values }) => ({ shape, values: softmax(values) });
  const filters = found.net.filters.map(({ name, stage }) => ({ name, stage, values: stages[stage] }));
  return { image, was: probabilities(whole.at(-1)), now: probabilities(stages.at(-1)), filters };
}

const picture = async (found, { file }) => ({ image: packed(await pictureReader(found)(file), found.net.input) });

const ANSWERS = { net: ({ net }) => net, look, backward, cell, example, picture, slide, without };

export async function ask(name, body = {}) {
  const found = await copy();
  if (!ANSWERS[name] || !found.net.offers.includes(name)) throw new Error(NEEDS_SERVER);
  return ANSWERS[name](found, body);
}

export const complaint = (error) => (error instanceof TypeError ? MISSING : error.message);
