// What a cell sees of each stage before it, as minicnn/demo/chain.py finds it; `view` of a rule says what a layer's output sees.

import { cellAt, indices } from "./cells.js";

const place = (cell) => (cell.length === 3 ? cell : [0, 0, cell[0]]);
const spanOf = (index) => [index, index + 1];
const sides = (shape) => (shape.length === 3 ? shape : [1, 1, shape[0]]);

// The smallest span that holds what all rows, or columns, of a span see; those of padding see nothing.
function seenAlong(table, [first, end]) {
  if (table === "same") return [first, end];
  const spans = table.slice(first, end).filter(([start, stop]) => stop > start);
  return spans.length ? [Math.min(...spans.map(([start]) => start)), Math.max(...spans.map(([, stop]) => stop))] : [0, 0];
}

function seenChannels(table, channels, count) {
  if (table === "same") return channels;
  const lists = table && channels.map((channel) => table[channel]);
  if (!lists || lists.includes(null)) return indices(count);
  return [...new Set(lists.flat())].sort((a, b) => a - b);
}

function before({ shape, flat, rows, columns, channels }, region) {
  const [height, width, count] = sides(shape);
  if (!flat) {
    return { rows: seenAlong(rows, region.rows), columns: seenAlong(columns, region.columns), channels: seenChannels(channels, region.channels, count) };
  }
  if (shape.length !== 3 || region.channels.length !== 1) return { rows: [0, height], columns: [0, width], channels: indices(count) };
  const [row, column, channel] = cellAt(shape, region.channels[0]);
  return { rows: spanOf(row), columns: spanOf(column), channels: [channel] };
}

export function chain(rules, requested, cell) {
  const [row, column, channel] = place(cell);
  let region = { rows: spanOf(row), columns: spanOf(column), channels: [channel] };
  return indices(requested).reverse().map((stage) => {
    const { view } = rules[stage];
    region = before(view, region);
    const { rows, columns, channels } = region;
    return { stage, top: rows[0], left: columns[0], rows: rows[1] - rows[0], columns: columns[1] - columns[0],
      channels: channels.length === view.shape.at(-1) ? null : channels };
  });
}
