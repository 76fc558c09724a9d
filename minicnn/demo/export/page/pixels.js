// Pictures {height, width, channels, values} as Pillow computes them: the same bytes, since networks were trained on those.

// ITU-R BT.601.
export function grey({ height, width, channels, values }) {
  const made = Uint8Array.from({ length: height * width }, (_, i) => {
    const [red, green, blue] = [0, 1, 2].map((c) => values[i * channels + c]);
    return (red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16;
  });
  return { height, width, channels: 1, values: made };
}

// The colours, or the grey, of an image on paper of one colour, by the opacity of an RGBA picture.
export function blend(image, { values: rgba }, paper) {
  const channels = paper.length;
  const values = Uint8Array.from({ length: image.height * image.width * channels }, (_, i) => {
    const [pixel, channel] = [Math.floor(i / channels), i % channels];
    const opacity = rgba[4 * pixel + 3];
    const sum = opacity * image.values[pixel * image.channels + channel] + (255 - opacity) * paper[channel] + 128;
    return ((sum >> 8) + sum) >> 8;
  });
  return { height: image.height, width: image.width, channels, values };
}

// Means of squares of so many pixels; those at the edge may be smaller.
export function reduced({ height, width, values }, factor) {
  const [rows, columns] = [Math.ceil(height / factor), Math.ceil(width / factor)];
  const made = Uint8Array.from({ length: rows * columns }, (_, i) => {
    const [top, left] = [Math.floor(i / columns) * factor, (i % columns) * factor];
    let [sum, count] = [0, 0];
    for (let row = top; row < Math.min(top + factor, height); row++) {
      for (let column = left; column < Math.min(left + factor, width); column++) {
        sum += values[row * width + column];
        count++;
      }
    }
    return Math.floor((sum + Math.floor(count / 2)) / count);
  });
  return { height: rows, width: columns, channels: 1, values: made };
}

const BITS = 22; // of the weights, as whole numbers

// The first pixel and the weights for each of `count` means over `size` pixels between two edges: a triangle as wide as two
// of the new pixels, or of the old ones where those are larger.
function weights(size, count, edges) {
  const [start, end] = edges.map(Math.fround); // Pillow keeps them in 32 bits
  const scale = Math.fround(end - start) / count;
  const reach = Math.max(scale, 1);
  return Array.from({ length: count }, (_, i) => {
    const centre = start + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(size, Math.trunc(centre + reach + 0.5));
    const shares = Array.from({ length: last - first }, (__, k) => Math.max(0, 1 - Math.abs((k + first - centre + 0.5) * (1 / reach))));
    const sum = shares.reduce((all, share) => all + share, 0);
    return { first, shares: shares.map((share) => Math.trunc(0.5 + (share / sum) * 2 ** BITS)) };
  });
}

function mean(values, start, step, shares) {
  let sum = 2 ** (BITS - 1);
  shares.forEach((share, k) => { sum += share * values[start + k * step]; });
  return Math.min(255, Math.floor(sum / 2 ** BITS));
}

function across({ height, width, channels, values }, count, edges) {
  const made = new Uint8Array(height * count * channels);
  weights(width, count, edges).forEach(({ first, shares }, i) => {
    for (let row = 0; row < height; row++) {
      for (let channel = 0; channel < channels; channel++) {
        const start = (row * width + first) * channels + channel;
        made[(row * count + i) * channels + channel] = mean(values, start, channels, shares);
      }
    }
  });
  return { height, width: count, channels, values: made };
}

function down({ height, width, channels, values }, count, edges) {
  const line = width * channels;
  const made = new Uint8Array(count * line);
  weights(height, count, edges).forEach(({ first, shares }, i) => {
    for (let k = 0; k < line; k++) made[i * line + k] = mean(values, first * line + k, line, shares);
  });
  return { height: count, width, channels, values: made };
}

// The part between two edges of rows and of columns, in this size.
export function resized(image, height, width, rows, columns) {
  const same = (size, count, [start, end]) => size === count && start === 0 && end === size;
  const wide = same(image.width, width, columns) ? image : across(image, width, columns);
  return same(wide.height, height, rows) ? wide : down(wide, height, rows);
}
