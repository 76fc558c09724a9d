// The third page: padding, stride, kernel and dilation to change, a kernel to draw, filters to turn off.

import { ask, complaint, latest, offersOf, toBase64, unpack } from "./api.js";
import { listenToCamera } from "./camera.js";
import { showAnswer } from "./classes.js";
import { onSchemeChange } from "./colours.js";
import { Filters } from "./filters.js";
import { counted, percent } from "./format.js";
import { enlargement, offerLargeType } from "./large.js";
import { Pad } from "./pad.js";
import { listenForPictures } from "./pictures.js";
import { answerPicture } from "./result.js";
import { WindowForm } from "./window-form.js";
import { WindowView } from "./window-view.js";

const $ = (id) => document.getElementById(id);
let net, offered, pad, form, view, filters, image = null;

const trying = (work) => async (...args) => {
  try {
    await work(...args);
    $("problem").textContent = "";
  } catch (error) {
    $("problem").textContent = complaint(error);
  }
};

const given = () => (image ? { image } : { pixels: toBase64(pad.pixels()) });
const hasImage = () => image || (pad.draws && pad.strokes.length);

const slide = latest(trying(async () => {
  if (!hasImage()) {
    view.clear();
    return;
  }
  const start = performance.now();
  const body = form.settings();
  const found = await ask("slide", { ...body, ...given() });
  if (!found.image) return;
  view.show(found, { ...body, image: found.image.data });
  document.body.dataset.milliseconds = performance.now() - start;
}));

const answer = latest(trying(async () => {
  if (!offered("without")) return;
  $("all").disabled = !filters.off.size;
  if (!hasImage()) {
    showAnswer($("answer"), net.classes, null);
    $("change").replaceChildren();
    $("told").textContent = "";
    return;
  }
  const found = await ask("without", { ...given(), off: filters.list });
  if (!found.image) return;
  const [was, now] = [unpack(found.was).values, unpack(found.now).values];
  const best = (shares) => shares.indexOf(Math.max(...shares));
  showAnswer($("answer"), net.classes, now);
  $("change").replaceChildren(answerPicture(was, now, net.classes, best(was)));
  filters.show(found.filters.map((one) => ({ ...one, values: unpack(one.values) })));
  const off = filters.off.size;
  $("told").textContent = off ? `With ${counted(off, "filter")} off: ${net.classes[best(now)]}, ${percent(now[best(now)])}. With all on: ${net.classes[best(was)]}, ${percent(was[best(was)])}.`
    : `${net.classes[best(was)]}, ${percent(was[best(was)])}, with all filters on.`;
}));

function load(found, given = false) {
  image = null; // the pad tells that it changes before the new image is there
  pad.load(unpack(found).values, found.shape, given);
  image = found.data;
  refresh();
}

function refresh() {
  slide();
  answer();
}

function resized() {
  filters.arrange();
  refresh();
}

const getExample = async () => (await ask("example", { wrong: false })).image;

function layOut() {
  $("net").textContent = `${net.model}${net.dataset ? `, trained on ${net.dataset}` : ""}. ${net.notice ?? ""}`;
  $("random").hidden = !net.examples;
  if (net.draws) return;
  $("draw-title").textContent = "Picture";
  $("pad-help").textContent = offered("picture") ? "Drop a picture anywhere, paste one, choose a file, or use the camera." : "";
  $("clear").hidden = true;
  $("pad").setAttribute("role", "img");
  $("pad").setAttribute("aria-label", "The picture");
  $("pad").removeAttribute("tabindex");
}

const begin = trying(async () => {
  net = await ask("net");
  offered = offersOf(net);
  layOut();
  form = new WindowForm(slide);
  view = new WindowView(net.input[2], trying);
  filters = new Filters($("filters"), answer);
  pad = new Pad($("pad"), net.draws, () => {
    if (pad.strokes.length || !pad.image) image = null;
    if (pad.strokes.length || !pad.image) refresh();
  });
  const example = net.examples ? await getExample() : null;
  await form.start(net, example?.data);
  $("clear").addEventListener("click", () => pad.clear());
  $("random").addEventListener("click", trying(async () => load(await getExample())));
  $("all").addEventListener("click", () => filters.allOn());
  const showPicture = trying(async (file) => load((await ask("picture", { file })).image));
  const complain = (text) => { $("problem").textContent = text; };
  listenForPictures($("open"), $("file"), showPicture, complain);
  listenToCamera($("camera"), showPicture, complain);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") view.letGo(); });
  onSchemeChange(() => form.kernel.colour());
  offerLargeType(resized);
  addEventListener("resize", () => { if (enlargement() !== 1) resized(); });
  if (example) load(example, true);
});
begin();
