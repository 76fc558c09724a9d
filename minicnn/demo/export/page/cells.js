// Places in arrays: of cells, and of kernels among the weights.

export const indices = (count, start = 0) => Array.from({ length: count }, (_, i) => start + i);

const flatIndex = (shape, cell) => cell.reduce((index, i, axis) => index * shape[axis] + i, 0);

export const at = ({ shape, values }, cell) => values[flatIndex(shape, cell)];

export function cellAt(shape, index) {
  const cell = [];
  for (const length of shape.toReversed()) {
    cell.unshift(index % length);
    index = Math.floor(index / length);
  }
  return cell;
}

// The channels that a filter of a convolution sees, and where its weights start: row by row, a tap has all channels.
export function filterOf({ kernel, size, table, depth, filters_per_group: group }, filter) {
  const channels = table?.[filter] ?? indices(depth, Math.floor(filter / group) * depth);
  const before = table ? table.slice(0, filter).flat().length : filter * depth;
  return { channels, start: kernel + before * size[0] * size[1] };
}
