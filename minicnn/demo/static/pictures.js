// Pictures from outside: dropped, pasted, or chosen as a file, which on a phone is the camera, too.

import { toBase64 } from "./api.js";

const LONGEST = 1024; // pixels; larger pictures are made smaller before they are sent

export function listenForPictures(button, input, show, complain) {
  const take = async (file) => {
    if (!file) return;
    let data;
    try {
      data = await smaller(file);
    } catch {
      complain(`${file.name || "What was pasted"} is no picture that this browser can read.`);
      return;
    }
    show(data);
  };
  const first = (files) => [...(files ?? [])][0];
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => { take(first(input.files)); input.value = ""; });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => { event.preventDefault(); take(first(event.dataTransfer.files)); });
  document.addEventListener("paste", (event) => take(first(event.clipboardData.files)));
}

// The picture as a PNG in base64, upright and not too large.
async function smaller(file) {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(bitmap.width * scale));
  canvas.height = Math.max(1, Math.round(bitmap.height * scale));
  canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  const blob = await new Promise((done) => { canvas.toBlob(done, "image/png"); });
  return toBase64(new Uint8Array(await blob.arrayBuffer()));
}
