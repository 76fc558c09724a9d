// The functions of elementwise layers, and their derivatives: of a value x, its place, and y, the value of the function.

const logistic = (x) => 1 / (1 + Math.exp(-x));
const density = (x) => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
const FAR = 8; // from here on, the normal distribution is 0 or 1 in float32

// The normal distribution function, by the series of G. Marsaglia, "Evaluating the normal distribution" (2004).
function normal(x) {
  if (Math.abs(x) > FAR) return x > 0 ? 1 : 0;
  let [sum, term] = [x, x];
  for (let n = 3; Math.abs(term) > 1e-17; n += 2) sum += term *= (x * x) / n;
  return 0.5 + sum * density(x);
}

// The formula for it with tanh, and its derivative.
function nearlyNormal(x) {
  const [scale, cubic] = [Math.sqrt(2 / Math.PI), 0.044715];
  const tanh = Math.tanh(scale * x * (1 + cubic * x * x));
  return [0.5 * (1 + tanh), 0.5 * scale * (1 - tanh * tanh) * (1 + 3 * cubic * x * x)];
}

const CURVES = {
  linear: ({ below, above }) => ({ value: (x) => x * (x > 0 ? above : below), slope: (x) => (x > 0 ? above : below) }),
  affine: ({ scale, offset, count }, weights) => ({
    value: (x, i) => x * weights[scale + (i % count)] + weights[offset + (i % count)],
    slope: (x, i) => weights[scale + (i % count)],
  }),
  prelu: ({ slopes, count }, weights) => {
    const slope = (x, i) => (x > 0 ? 1 : weights[slopes + (i % count)]);
    return { value: (x, i) => x * slope(x, i), slope };
  },
  elu: ({ alpha }) => ({ value: (x) => (x > 0 ? x : alpha * Math.expm1(x)), slope: (x, i, y) => (x > 0 ? 1 : y + alpha) }),
  sigmoid: () => ({ value: logistic, slope: (x, i, y) => y * (1 - y) }),
  silu: () => ({ value: (x) => x * logistic(x), slope: (x, i, y) => logistic(x) + y * (1 - logistic(x)) }),
  gelu: () => ({ value: (x) => x * normal(x), slope: (x) => normal(x) + x * density(x) }),
  geluOfTanh: () => ({
    value: (x) => x * nearlyNormal(x)[0],
    slope: (x) => { const [share, slope] = nearlyNormal(x); return share + x * slope; },
  }),
  tanh: ({ amplitude, steepness }) => ({
    value: (x) => amplitude * Math.tanh(steepness * x),
    slope: (x, i, y) => steepness * (amplitude - y ** 2 / amplitude),
  }),
};

export const curveOf = ({ curve }, weights) => CURVES[curve.kind](curve, weights);
