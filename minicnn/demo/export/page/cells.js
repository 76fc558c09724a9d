// Places in arrays.

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
