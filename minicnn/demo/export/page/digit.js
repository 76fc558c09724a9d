// A drawing or a picture of one digit in the format of MNIST: what minicnn.datasets.digit_from_pixels does, number by number.

import { leastSquares, median } from "./statistics.js";

const WORK_SIZE = 400; // longer sides are first reduced to this
const MIN_CONTRAST = 0.06;
const CUTOFF = 0.1; // fraction of the strongest ink below which a pixel is background
const SPECKS = 0.001; // fraction of all ink that is cropped on each side

// Ties go to the even number, as in Python.
export function roundEven(value) {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2) ? floor + 1 : floor;
}

// An image here is {height, width, values}, row by row. Return the bytes of 28x28 pixels, white on black.
export function digitFromPixels({ height, width, values }) {
  let grey = { height, width, values: Float64Array.from(values, (value) => Math.fround(value / 255)) };
  if (Math.max(height, width) > WORK_SIZE) grey = fit(grey, WORK_SIZE, Math.fround);
  const digit = fit(crop(ink(grey)), 20);
  const factor = 255 / maximum(digit.values);
  digit.values = digit.values.map((value) => value * factor);
  const [top, left] = [lineSums(digit), lineSums(transposed(digit))].map((sums) => {
    const centre = sums.reduce((sum, value, i) => sum + i * value, 0) / sums.reduce((sum, value) => sum + value, 0);
    return Math.min(Math.max(roundEven(13.999 - centre), 0), 28 - sums.length);
  });
  const bytes = new Uint8Array(28 * 28);
  digit.values.forEach((value, i) => {
    bytes[(top + Math.floor(i / digit.width)) * 28 + left + (i % digit.width)] = roundEven(value);
  });
  return bytes;
}

const maximum = (values) => values.reduce((most, value) => Math.max(most, value), -Infinity);

// The amount of ink: 0 on the background, 1 in the strongest stroke.
function ink({ height, width, values }) {
  const { surface, noise } = background({ height, width, values });
  let deviation = values.map((value, i) => value - surface(i));
  if (deviation.reduce((sum, value) => sum + value ** 3, 0) < 0) deviation = deviation.map((value) => -value);
  const strongest = maximum(deviation);
  if (strongest < Math.max(MIN_CONTRAST, 8 * noise)) throw new Error("no digit found: it must stand out from its background");
  const least = Math.max(CUTOFF * strongest, 4 * noise);
  return { height, width, values: deviation.map((value) => (value < least ? 0 : value / strongest)) };
}

// The quadratic surface that fits the border best, as a function of a pixel's index, and the noise of the border.
function background({ height, width, values }) {
  const along = (i, count) => (count === 1 ? -1 : -1 + (2 * i) / (count - 1));
  const terms = (i) => {
    const [row, column] = [along(Math.floor(i / width), height), along(i % width, width)];
    return [100, row, column, row * row, column * column, row * column];
  };
  const all = [...values.keys()];
  const border = all.filter((i) => i < width || i >= values.length - width || i % width === 0 || i % width === width - 1);
  const sorted = border.map((i) => values[i]).sort((a, b) => a - b);
  const middle = sorted[Math.ceil((sorted.length - 1) / 2)];
  const range = Math.fround(maximum(values) - values.reduce((least, value) => Math.min(least, value), Infinity));
  // Strokes may cross the border: pixels far from its median brightness are not background.
  const known = border.filter((i) => Math.abs(Math.fround(values[i] - middle)) <= 0.25 * range);
  const factors = leastSquares(known.map(terms), known.map((i) => values[i]));
  const surface = (i) => terms(i).reduce((sum, term, k) => sum + factors[k] * term, 0);
  return { surface, noise: 1.4826 * median(known.map((i) => Math.abs(surface(i) - values[i]))) };
}

function lineSums({ height, width, values }) {
  return Array.from({ length: height }, (_, row) => values.subarray(row * width, (row + 1) * width).reduce((sum, value) => sum + value, 0));
}

function transposed({ height, width, values }) {
  return { height: width, width: height, values: values.map((_, i) => values[(i % height) * width + Math.floor(i / height)]) };
}

// The part of the image with the digit, without specks around it.
function crop(image) {
  const [[top, bottom], [left, right]] = [lineSums(image), lineSums(transposed(image))].map((sums) => {
    let sum = 0;
    const above = sums.map((value) => (sum += value));
    const first = (share) => above.findIndex((value) => value >= share * above.at(-1));
    return [first(SPECKS), first(1 - SPECKS) + 1];
  });
  const [height, width] = [bottom - top, right - left];
  const values = Float64Array.from({ length: height * width }, (_, i) => (
    image.values[(top + Math.floor(i / width)) * image.width + left + (i % width)]));
  return { height, width, values };
}

// Resize, so that the longer side has `longest` pixels. `stored` rounds to the precision of the values.
function fit(image, longest, stored = (value) => value) {
  const [height, width] = [image.height, image.width].map((size) => (
    Math.max(1, roundEven((size * longest) / Math.max(image.height, image.width)))));
  return transposed(resize(transposed(resize(image, height, stored)), width, stored));
}

// Resize to so many rows: means over windows of rows when the image shrinks, linear interpolation when it grows.
function resize({ height: size, width, values }, rows, stored) {
  const step = size / rows;
  const window = Math.max(step, 1);
  const above = new Float64Array((size + 1) * width);
  for (let i = 0; i < values.length; i++) above[i + width] = above[i] + values[i];
  const sumAbove = (place, column) => {
    const within = Math.min(Math.max(place, 0), size);
    const row = Math.min(Math.floor(within), size - 1);
    return above[row * width + column] + (within - row) * values[row * width + column];
  };
  const made = Float64Array.from({ length: rows * width }, (_, i) => {
    const start = (Math.floor(i / width) + 0.5) * step - window / 2;
    return stored((sumAbove(start + window, i % width) - sumAbove(start, i % width)) / window);
  });
  return { height: rows, width, values: made };
}
