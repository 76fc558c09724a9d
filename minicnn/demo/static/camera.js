// Pictures of the camera, several a second, until it is stopped.

import { toBase64 } from "./api.js";

const REST = 100; // milliseconds between an answer and the next picture
const SIDE = 320; // pixels: the middle of what the camera sees, as a square

async function take(video, canvas) {
  const side = Math.min(video.videoWidth, video.videoHeight);
  const [x, y] = [(video.videoWidth - side) / 2, (video.videoHeight - side) / 2];
  canvas.getContext("2d").drawImage(video, x, y, side, side, 0, 0, SIDE, SIDE);
  const blob = await new Promise((done) => { canvas.toBlob(done, "image/png"); });
  return toBase64(new Uint8Array(await blob.arrayBuffer()));
}

// show(data) takes a picture as base64, and is awaited. A page that is not from this machine, nor by https, gets no camera.
export function listenToCamera(button, show, complain) {
  let stream = null;
  const video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const stop = () => {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    button.textContent = "Camera";
  };
  const run = async () => {
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    } catch {
      complain("There is no camera, or this page may not use it.");
      return;
    }
    const mine = stream;
    button.textContent = "Stop camera";
    video.srcObject = stream;
    await video.play();
    while (stream === mine) {
      const data = await take(video, canvas);
      if (stream === mine) await show(data);
      await new Promise((done) => { setTimeout(done, REST); });
    }
  };
  button.hidden = !navigator.mediaDevices?.getUserMedia;
  button.addEventListener("click", () => (stream ? stop() : run()));
  document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); });
  return stop;
}
