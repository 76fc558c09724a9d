// What the windows of a layer cover of its input. Plain loops: arrays made within them would take most of the time.

import { filterOf, indices } from "./cells.js";

// For each output of a convolution and each tap of its window within the image: visit(place of the output, place of the
// tap's first channel, place of its first weight, channels).
export function eachTap({ size, strides, pads, dilation, ...rule }, [height, width, depth], [rows, columns, filters], visit) {
  for (let filter = 0; filter < filters; filter++) {
    const { channels, start } = filterOf({ size, ...rule }, filter);
    for (let cell = 0; cell < rows * columns; cell++) {
      const top = Math.floor(cell / columns) * strides[0] - pads[0];
      const left = (cell % columns) * strides[1] - pads[1];
      for (let i = 0, from = start; i < size[0]; i++) {
        const row = top + i * dilation[0];
        for (let j = 0; j < size[1]; j++, from += channels.length) {
          const column = left + j * dilation[1];
          if (row < 0 || column < 0 || row >= height || column >= width) continue;
          visit(cell * filters + filter, (row * width + column) * depth, from, channels);
        }
      }
    }
  }
}

const along = (first, count, end) => indices(count, first).filter((i) => i >= 0 && i < end);

// The places of the input under the window of a pooling's output, without padding. Global pooling has one window.
export function placesUnder({ strides = [1, 1], pads = [0, 0], span, out }, [height, width, channels], place) {
  const [cell, channel] = [Math.floor(place / channels), place % channels];
  const columns = out.length === 3 ? out[1] : 1;
  const inRows = along(Math.floor(cell / columns) * strides[0] - pads[0], (span ?? [height])[0], height);
  const inColumns = along((cell % columns) * strides[1] - pads[1], (span ?? [0, width])[1], width);
  return inRows.flatMap((row) => inColumns.map((column) => (row * width + column) * channels + channel));
}

// The places of the channels near one, at the same pixel.
export function placesNear(size, channels, place) {
  const channel = place % channels;
  return along(channel - Math.floor(size / 2), size, channels).map((near) => place - channel + near);
}
