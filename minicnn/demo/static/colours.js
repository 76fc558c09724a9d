// From numbers to colours: zero is the background, positive blue, negative orange, in the current colour scheme.
// A colour is one number, as a canvas keeps it in memory: alpha, blue, green, red from the highest byte down.

const STEPS = 255;
const table = { signed: new Uint32Array(2 * STEPS + 1), ink: new Uint32Array(STEPS + 1) };
let inkColour, cardColour;

const pack = ([r, g, b]) => ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
const parts = (colour) => [colour & 255, (colour >> 8) & 255, (colour >> 16) & 255];
const mix = (from, to, share) => from.map((value, i) => Math.round(value + (to[i] - value) * share));

function read() {
  const style = getComputedStyle(document.documentElement);
  const [zero, positive, negative, ink, card] = ["zero", "positive", "negative", "ink", "card"].map((name) => {
    const hex = style.getPropertyValue(`--${name}`).trim();
    return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  });
  for (let i = 0; i <= STEPS; i++) {
    const lifted = (i / STEPS) ** 0.75; // without it most of a layer looks empty
    table.signed[STEPS + i] = pack(mix(zero, positive, lifted));
    table.signed[STEPS - i] = pack(mix(zero, negative, lifted));
    table.ink[i] = pack(mix(zero, ink, i / STEPS));
  }
  inkColour = ink;
  cardColour = pack(card);
}
read();

// Paint all that scripts have coloured anew when the scheme changes, and in the light one on paper. Elements have a
// method `repaint`, the rest is done by `repaint()`; nothing that takes a while, since a printer does not wait.
export function onSchemeChange(repaint = () => {}) {
  const change = () => {
    read();
    for (const painted of document.querySelectorAll("canvas, .grid")) painted.repaint?.();
    repaint();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", change);
  for (const [event, printed] of [["beforeprint", true], ["afterprint", false]]) {
    addEventListener(event, () => { document.documentElement.classList.toggle("paper", printed); change(); });
  }
}

export const signed = (value, largest) =>
  table.signed[STEPS + (largest > 0 ? Math.round(Math.max(-1, Math.min(1, value / largest)) * STEPS) : 0)];

export const inked = (value, largest) => table.ink[largest > 0 ? Math.round((value / largest) * STEPS) : 0];

// That of what the pictures lie on.
export const card = () => cardColour;

// A colour with ink, from 0 to 1, shining through.
export const under = (colour, ink) => (ink ? pack(mix(parts(colour), inkColour, 0.55 * ink)) : colour);

export const css = (colour) => `rgb(${parts(colour).join(" ")})`;

// Black or white, whichever is read more easily on this colour (WCAG's relative luminance).
export function textOn(colour) {
  const [r, g, b] = parts(colour).map((v) => (v / 255 <= 0.04045 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}

export function largest(values) {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}
