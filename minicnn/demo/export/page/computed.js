// In place of onnxruntime-web: the forward pass by the page's own arithmetic.

import { outputsOf } from "./forward.js";

// Return a function from an array {shape, values} to the outputs of all layers.
export async function makeNetwork({ arithmetic }, images, weights) {
  const loaded = await weights();
  return async (x) => outputsOf(arithmetic, x, loaded);
}
