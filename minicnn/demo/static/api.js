// Requests, and the arrays in their answers.

export { ask, complaint } from "./server.js";

function fromBase64(data) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(data); // browsers of 2025 on
  const text = atob(data);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

// An array as {shape, values}, from its shape and the base64 of its bytes (little-endian), unless it has its values.
// Bytes stay bytes; int16 are steps of a size, and become floats.
export function unpack({ shape, dtype, data, values, step }) {
  if (values) return { shape, values };
  const bytes = fromBase64(data);
  if (dtype === "uint8") return { shape, values: bytes };
  if (dtype === "int16") return { shape, values: Float32Array.from(new Int16Array(bytes.buffer), (value) => value * step) };
  return { shape, values: new Float32Array(bytes.buffer) };
}

export function toBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 4096) text += String.fromCharCode(...bytes.subarray(i, i + 4096));
  return btoa(text);
}

// Return a function that runs `work` with its latest arguments, one run at a time. Calls during a run replace
// each other, so that no queue builds up while drawing.
export function latest(work) {
  let waiting = null;
  let busy = false;
  return async (...args) => {
    waiting = args;
    if (busy) return;
    busy = true;
    try {
      while (waiting) {
        const now = waiting;
        waiting = null;
        await work(...now);
      }
    } finally {
      busy = false;
    }
  };
}

// Return whether requests of a name are answered; parts of the page that need others are hidden. A static copy answers
// only those in `net.offers`.
export function offersOf(net) {
  const offered = (name) => !net.offers || net.offers.includes(name);
  for (const part of document.querySelectorAll("[data-asks]")) part.hidden = !offered(part.dataset.asks);
  return offered;
}
