// Drawings and pictures as inputs of the network, prepared as minicnn/demo/inputs.py does.

import { unpack } from "../static/api.js";
import { digitFromPixels, roundEven } from "./digit.js";
import { blend, grey, reduced, resized } from "./pixels.js";

const DIGIT = "mnist-digit"; // how a digit is prepared
const SIDE = 28; // of such a digit
const EMPTY = 30; // the ink of an empty pad is at most this
const LIGHT = 240; // grey values from here on are hardly ink on white paper

// The bytes of an input from the grey values of the pad, or null if it is empty.
export function readDrawing(pixels, { net, input }) {
  if (pixels.every((value) => value <= EMPTY)) return null;
  const side = Math.sqrt(pixels.length);
  return padded(input.drawing === DIGIT ? digitFromPixels(bordered(pixels, side)) : averaged(pixels, side), net.input);
}

// With a border, strokes that touch the edge count as ink.
function bordered(pixels, side) {
  const values = new Uint8Array((side + 2) ** 2);
  for (let row = 0; row < side; row++) values.set(pixels.subarray(row * side, (row + 1) * side), (row + 1) * (side + 2) + 1);
  return { height: side + 2, width: side + 2, values };
}

function averaged(pixels, side) {
  const step = Math.floor(side / SIDE);
  const sums = new Float64Array(SIDE * SIDE);
  pixels.forEach((value, i) => { sums[Math.floor(i / side / step) * SIDE + Math.floor((i % side) / step)] += value; });
  return Uint8Array.from(sums, (sum) => roundEven(sum / step ** 2));
}

// 28x28 pixels in the middle of an input.
function padded(values, [height, width]) {
  const [top, left] = [height, width].map((size) => Math.floor(Math.max(size - SIDE, 0) / 2));
  const made = new Uint8Array(Math.max(height, SIDE) * Math.max(width, SIDE));
  values.forEach((value, i) => { made[(top + Math.floor(i / SIDE)) * Math.max(width, SIDE) + left + (i % SIDE)] = value; });
  return made;
}

// Return a function from the base64 of a picture's file to an input.
export const pictureReader = ({ net, input }) => async (file) => {
  const picture = await decoded(unpack({ dtype: "uint8", data: file }).values);
  if (input.picture !== DIGIT) return fitted(picture, net.input, input.picture);
  try {
    return padded(digitFromPixels(onPaper(picture)), net.input);
  } catch (error) {
    throw new Error(`the picture: ${error.message}`);
  }
};

async function decoded(bytes) {
  const bitmap = await createImageBitmap(new Blob([bytes]));
  const canvas = Object.assign(document.createElement("canvas"), { width: bitmap.width, height: bitmap.height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data, width, height } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  return { height, width, channels: 4, values: data };
}

// The grey values of a picture on white paper; light ink, which it would hide, is put on black.
function onPaper(picture) {
  const put = (paper) => blend(grey(picture), picture, [paper]);
  const white = put(255);
  const image = white.values.every((value) => value >= LIGHT) ? put(0) : white;
  return reduced(image, Math.max(1, Math.floor(Math.max(image.height, image.width) / 400)));
}

// A picture in the size of the input: its centre cropped, or its sides padded.
function fitted(picture, [height, width, channels], { resize, background, scale, offset }) {
  const paper = channels === 1 ? grey({ height: 1, width: 1, channels: 3, values: background }).values : background;
  const image = blend(channels === 1 ? grey(picture) : picture, picture, [...paper]);
  const made = resize === "pad" ? onSheet(image, height, width, paper) : cropped(image, height, width);
  if (!scale) return made.values;
  return Float32Array.from(made.values, (value, i) => value * scale[i % scale.length] + offset[i % offset.length]);
}

function cropped(image, height, width) {
  const scale = Math.max(width / image.width, height / image.height);
  const [left, top] = [(image.width - width / scale) / 2, (image.height - height / scale) / 2].map((edge) => Math.max(edge, 0));
  return resized(image, height, width, [top, image.height - top], [left, image.width - left]);
}

function onSheet(image, height, width, paper) {
  const scale = Math.min(width / image.width, height / image.height);
  const [rows, columns] = [image.height, image.width].map((size) => Math.max(1, roundEven(size * scale)));
  const small = resized(image, rows, columns, [0, image.height], [0, image.width]);
  const [top, left] = [Math.floor((height - rows) / 2), Math.floor((width - columns) / 2)];
  const { channels } = image;
  const values = Uint8Array.from({ length: height * width * channels }, (_, i) => paper[i % channels]);
  for (let row = 0; row < rows; row++) {
    const line = small.values.subarray(row * columns * channels, (row + 1) * columns * channels);
    values.set(line, ((top + row) * width + left) * channels);
  }
  return { height, width, channels, values };
}
