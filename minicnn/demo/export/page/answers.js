// What the server of `minicnn demo` answers, from the files of this copy, by the same names and fields.

import { toBase64, unpack } from "../static/api.js";
import { explain } from "./arithmetic.js";
import { fetchBytes, fetchJson } from "./files.js";
import { pictureReader, readDrawing } from "./inputs.js";

const NEEDS_SERVER = "This is a static copy of the page: what you asked for needs `minicnn demo`, on a computer with Python.";
const MISSING = "A file of this page cannot be loaded; is the network still there?";

const once = (make) => { let made; return (...args) => (made ??= make(...args)); };

const copy = once(async () => {
  const found = await fetchJson("net.json");
  const { makeNetwork } = await import(found.outputs ? "./network.js" : "./recorded.js");
  const images = once(() => fetchBytes("images.bin"));
  const network = makeNetwork(found, images);
  network.catch(() => {}); // it is reported when it is asked
  return { ...found, network, images, weights: once(async () => new Float32Array(await fetchBytes("weights.bin"))) };
});

// --- images -------------------------------------------------------------------------------------------------

const packed = (values, shape) => ({
  shape, values, dtype: values instanceof Uint8Array ? "uint8" : "float32",
  data: toBase64(new Uint8Array(values.buffer, values.byteOffset, values.byteLength)),
});

// The image in a request; its values are bytes or floats.
function given({ net }, data) {
  const bytes = unpack({ dtype: "uint8", data }).values;
  const size = net.input.reduce((product, length) => product * length);
  return packed(bytes.length === size ? bytes : new Float32Array(bytes.buffer), net.input);
}

async function stagesOf(found, image) {
  const network = await found.network;
  const whole = found.input.bytes || !(image.values instanceof Uint8Array);
  const x = { shape: image.shape, values: Float32Array.from(image.values, whole ? (value) => value : (value) => value / 255) };
  const stages = [x, ...await network(x, image)];
  if (!stages.at(-1).values.every(Number.isFinite)) throw new Error("the network's numbers are not finite");
  return stages;
}

function softmax(logits) {
  const most = Math.max(...logits);
  const powers = Float32Array.from(logits, (logit) => Math.exp(logit - most));
  const sum = powers.reduce((all, power) => all + power, 0);
  return powers.map((power) => power / sum);
}

// --- answers ------------------------------------------------------------------------------------------------

async function look(found, { pixels, image: data, class: number = null }) {
  const values = data ? null : readDrawing(unpack({ dtype: "uint8", data: pixels }).values, found);
  if (!data && !values) return { image: null };
  const image = data ? given(found, data) : packed(values, found.net.input);
  const stages = await stagesOf(found, image);
  const probabilities = softmax(stages.at(-1).values);
  const answer = probabilities.indexOf(Math.max(...probabilities));
  found.last = { data: image.data, stages };
  return { answer, class: number ?? answer, image, probabilities: { shape: [probabilities.length], values: probabilities }, stages };
}

async function cell(found, { image, stage, cell: place }) {
  const stages = found.last?.data === image ? found.last.stages : await stagesOf(found, given(found, image));
  return explain(found.arithmetic, await found.weights(), stages, stage, place);
}

async function example({ net, examples, images }, { wrong }) {
  const choice = examples[wrong ? "wrong" : "any"];
  if (!choice.length) throw new Error("the model classifies all test images correctly: there is no misclassified one");
  const number = choice[Math.floor(Math.random() * choice.length)];
  const size = net.input.reduce((product, length) => product * length);
  const Kind = examples.dtype === "uint8" ? Uint8Array : Float32Array;
  const values = new Kind(await images()).slice(number * size, (number + 1) * size);
  const { index, label } = examples.images[number];
  return { index, label, image: packed(values, net.input), of: examples.of, ...(wrong && { wrong: examples.misclassified }) };
}

const picture = async (found, { file }) => ({ image: packed(await pictureReader(found)(file), found.net.input) });

const ANSWERS = { net: ({ net }) => net, look, cell, example, picture };

export async function ask(name, body = {}) {
  const found = await copy();
  if (!ANSWERS[name] || !found.net.offers.includes(name)) throw new Error(NEEDS_SERVER);
  return ANSWERS[name](found, body);
}

export const complaint = (error) => (error instanceof TypeError ? MISSING : error.message);
