// The forward pass by onnxruntime-web, in one thread: more need headers that few servers of course pages send.

import { fetchBytes } from "./files.js";

// Return a function from an array {shape, values} to the outputs of all layers.
export async function makeNetwork({ outputs }) {
  const [ort, runtime, model] = await Promise.all([import("./ort.js"), fetchBytes("ort.bin"), fetchBytes("model.onnx")]);
  // Given as bytes, WebAssembly needs no media type that a server must know.
  Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: runtime });
  const session = await ort.InferenceSession.create(new Uint8Array(model), { executionProviders: ["wasm"] });
  const run = async ({ shape, values }) => {
    const found = await session.run({ x: new ort.Tensor("float32", values, [1, ...shape]) });
    return outputs.map((name) => ({ shape: found[name].dims.slice(1), values: found[name].data }));
  };
  let before = Promise.resolve(); // a session runs once at a time
  return (x) => {
    const answer = before.then(() => run(x));
    before = answer.catch(() => {});
    return answer;
  };
}
