// Least squares and the median.

// The factors for which rows of terms come closest to the values. A term that the others determine gets the factor 0.
export function leastSquares(rows, values) {
  const count = rows[0].length;
  const equations = Array.from({ length: count }, (_, i) => [
    ...Array.from({ length: count }, (__, j) => rows.reduce((sum, row) => sum + row[i] * row[j], 0)),
    rows.reduce((sum, row, k) => sum + row[i] * values[k], 0),
  ]);
  const sizes = equations.map((equation, i) => equation[i]);
  const kept = [];
  for (let i = 0; i < count; i++) { // Gauss and Jordan
    const pivot = equations[i][i];
    if (pivot <= 1e-10 * sizes[i]) continue;
    kept.push(i);
    equations[i] = equations[i].map((value) => value / pivot);
    equations.forEach((equation, k) => {
      const factor = equation[i];
      if (k !== i) equations[k] = equation.map((value, j) => value - factor * equations[i][j]);
    });
  }
  return sizes.map((_, i) => (kept.includes(i) ? equations[i][count] : 0));
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}
