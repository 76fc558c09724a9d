// A chart of curves over epochs, drawn on a canvas.

import { enlargement } from "./large.js";

const PAD = { left: 40, right: 8, top: 6, bottom: 20 }; // CSS pixels, for type of the usual size
const TICK = 42; // of the numbers below
const ROUND = [1, 2, 5, 10];

// The least round number that is not below a value.
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return ROUND.find((factor) => factor * power >= value * 0.999) * power;
}

// The sizes of canvases. Asked for after each change of the page, the browser would lay it out for the answer alone.
const boxes = new WeakMap();
const observer = new ResizeObserver((entries) => { for (const { target, contentRect } of entries) boxes.set(target, contentRect); });

function boxOf(canvas) {
  if (!boxes.has(canvas)) {
    boxes.set(canvas, canvas.getBoundingClientRect());
    observer.observe(canvas);
  }
  return boxes.get(canvas);
}

// curves: [{points: [[epoch, value], ...], colour, dashed, name}], the colour a CSS variable, the name, if there is one, at
// the end of the curve; most: the end of the scale,
// by default by the values.
export function drawChart(canvas, curves, most = null) {
  const box = boxOf(canvas);
  const ratio = devicePixelRatio || 1;
  const [width, height] = [box.width, box.height].map((length) => Math.round(length * ratio));
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height }); // which takes long
  const style = getComputedStyle(document.documentElement);
  const [muted, line] = ["--muted", "--line"].map((name) => style.getPropertyValue(name));
  const context = canvas.getContext("2d");
  const unit = enlargement();
  context.setTransform(ratio * unit, 0, 0, ratio * unit, 0, 0);
  const [wide, high] = [box.width / unit, box.height / unit];
  context.clearRect(0, 0, wide, high);
  context.setLineDash([]);
  const points = curves.flatMap((curve) => curve.points);
  const last = Math.max(0.1, ...points.map(([epoch]) => epoch));
  const top = most ?? roundUp(Math.max(1e-3, ...points.map(([, value]) => value)));
  const x = (epoch) => PAD.left + (epoch / last) * (wide - PAD.left - PAD.right);
  const y = (value) => high - PAD.bottom - (Math.min(value, top) / top) * (high - PAD.top - PAD.bottom);
  Object.assign(context, { font: "11px system-ui, sans-serif", fillStyle: muted, strokeStyle: line, lineWidth: 1, textAlign: "right", textBaseline: "middle" });
  for (const share of [0, 0.5, 1]) {
    context.beginPath();
    context.moveTo(x(0), y(share * top));
    context.lineTo(x(last), y(share * top));
    context.stroke();
    context.fillText(most === 1 ? `${100 * share} %` : `${+(share * top).toPrecision(2)}`, PAD.left - 5, y(share * top));
  }
  Object.assign(context, { textAlign: "center", textBaseline: "alphabetic" });
  const every = roundUp(last / Math.max(2, Math.floor((wide - PAD.left) / TICK)));
  for (let tick = 1; tick * every <= last; tick++) context.fillText(`${+(tick * every).toPrecision(3)}`, x(tick * every), high - 5);
  for (const { points: curve, colour, dashed, name } of curves) {
    const ink = style.getPropertyValue(colour);
    Object.assign(context, { strokeStyle: ink, fillStyle: ink, lineWidth: 1.8 });
    context.setLineDash(dashed ? [5, 4] : []);
    context.beginPath();
    curve.forEach(([epoch, value], i) => context[i ? "lineTo" : "moveTo"](x(epoch), y(value)));
    context.stroke();
    if (name && curve.length) {
      const [epoch, value] = curve.at(-1);
      context.font = "bold 13px system-ui, sans-serif";
      context.fillText(name, Math.max(PAD.left + 8, x(epoch) - 6), Math.max(14, y(value) - 6));
    }
    if (dashed || curve.length === 1) {
      for (const [epoch, value] of curve) {
        context.beginPath();
        context.arc(x(epoch), y(value), 2.6, 0, 7);
        context.fill();
      }
    }
  }
}
