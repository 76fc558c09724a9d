// The second page: a network with random weights learns, and everything changes live.

import { ask, complaint, toBase64, unpack } from "./api.js";
import { drawChart } from "./chart.js";
import { listClasses, showShares } from "./classes.js";
import { largest, onSchemeChange, signed } from "./colours.js";
import { amount, counted, element, percent } from "./format.js";
import { Pad } from "./pad.js";
import { Picture } from "./picture.js";

const $ = (id) => document.getElementById(id);
const REST = 60; // milliseconds between two looks: at least ten pictures a second
const DECADES = [-6, 1]; // powers of ten that the bars of the gradients span
const form = $("settings");
let net, pad, course, last, image = null, failed = "";
const pictures = new Map();

// --- settings, in the form and in the address ----------------------------------------------------------------

const DEFAULTS = { lr: "0.05", batch_size: "128", optimizer: "sgd", seed: "0" };

function readAddress() {
  const given = new URLSearchParams(location.search);
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    form.elements[name].value = given.get(name) ?? usual;
    if (!form.elements[name].value) form.elements[name].value = usual; // the address may hold anything
  }
}

function settings() {
  const values = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, form.elements[name].value]));
  history.replaceState(null, "", `?${new URLSearchParams(values)}`);
  return { ...values, lr: Number(values.lr), batch_size: Number(values.batch_size), seed: Number(values.seed) };
}

async function start() {
  if (!form.reportValidity()) return;
  course = null;
  course = await ask("learn/start", settings());
  $("net").textContent = `${net.model}: ${course.weights.toLocaleString("en")} weights, ${counted(course.images, "image")} of ${net.dataset}.`;
}

// --- watching -------------------------------------------------------------------------------------------------

async function look() {
  const given = image ? { image } : pad.strokes.length ? { pixels: toBase64(pad.pixels()) } : {};
  const strokes = pad.strokes.length && pad.strokes.at(-1).length;
  const seen = await ask("learn/look", given);
  if (!given.image && seen.image && strokes === (pad.strokes.length && pad.strokes.at(-1).length)) image = seen.image.data;
  last = seen;
  show(seen);
}

function show(seen) {
  const { step, playing, rate } = seen;
  $("play").textContent = playing ? "Pause" : "Play";
  $("back").disabled = !seen.back;
  const epoch = step / course.steps_per_epoch;
  const [loss, accuracy] = seen.train.at(-1)?.slice(1) ?? [];
  const test = seen.test.at(-1)?.[2];
  $("status").textContent = [`Step ${step.toLocaleString("en")}, epoch ${epoch.toFixed(2)}`,
    loss === undefined ? "random weights" : `loss ${amount(loss)}, accuracy ${percent(accuracy)}`,
    test === undefined ? "" : `${percent(test)} of ${course.tests.toLocaleString("en")} test images`,
    playing && rate ? `${Math.round(rate)} steps a second` : ""].filter(Boolean).join("; ") + ".";
  const curve = (points, column) => points.map((point) => [point[0], point[column]]);
  for (const [id, column, most] of [["loss", 1, null], ["accuracy", 2, 1]]) {
    drawChart($(id), [{ points: curve(seen.train, column) }, { points: curve(seen.test, column), dashed: true }], course.steps_per_epoch, most);
  }
  if (loss !== undefined) {
    $("loss").setAttribute("aria-label", `Loss, now ${amount(loss)}`);
    $("accuracy").setAttribute("aria-label", `Accuracy, now ${percent(accuracy)}`);
  }
  showGradients(seen.gradients);
  $("advice").textContent = advice(seen, loss);
  showAnswer(seen.probabilities ? unpack(seen.probabilities).values : null);
  if (seen.kernels) paint("kernels", "Kernels of the first layer", unpack(seen.kernels));
  for (const { name, values } of seen.maps ?? []) paint(name, `Output of ${name}`, unpack(values));
  for (const [name, { item }] of pictures) item.hidden = name !== "kernels" && !seen.maps?.some((map) => map.name === name);
  $("problem").textContent = failed = seen.error || (failed ? "" : $("problem").textContent);
}

// What one sees when a training does not learn, and why.
function advice({ step, gradients }, loss) {
  const chance = Math.log(net.classes.length);
  const sizes = gradients.map(({ largest: size }) => size);
  if (!step || loss === undefined) return "";
  if (Math.min(...sizes) === 0) return "A layer gets no gradient at all: all its units are dead, 0 for every image, and it will not learn again. A smaller learning rate keeps them alive.";
  if (loss > 2 * chance) return "The loss is far above that of guessing: the steps overshoot, and each makes it worse. Choose a smaller learning rate.";
  if (step > 150 && loss > 0.95 * chance) return `The loss stays at that of guessing, log ${net.classes.length} = ${amount(chance)}: the steps are too small to see, or were so large that they killed the units.`;
  if (sizes.length > 2 && sizes[0] * 1e3 < sizes.at(-1)) return "The gradient vanishes: the first layer gets less than a thousandth of the last one's, and hardly learns.";
  return "";
}

function showGradients(layers) {
  if ($("gradients").children.length !== layers.length) {
    $("gradients").replaceChildren(...layers.map(({ name }) => element("div", { className: "row" }, element("span", { textContent: name }),
      element("span", { className: "track" }, element("i", { className: "now" })), element("span", { className: "value" }))));
  }
  layers.forEach(({ largest: size }, i) => {
    const [, track, value] = $("gradients").children[i].children;
    const share = size > 0 ? (Math.log10(size) - DECADES[0]) / (DECADES[1] - DECADES[0]) : 0;
    track.firstChild.style.width = `${100 * Math.min(1, Math.max(0, share))}%`;
    value.textContent = amount(size);
  });
}

function showAnswer(shares) {
  $("answer").textContent = shares ? net.classes[shares.indexOf(Math.max(...shares))] : "–";
  showShares($("classes"), shares);
}

function paint(name, title, { shape, values }) {
  let shown = pictures.get(name);
  if (!shown) {
    const scale = element("small");
    const picture = new Picture(shape, title);
    const item = element("div", { className: "layer" }, element("h3", { textContent: `${title} ` }, scale), picture.element);
    $("maps").append(item);
    picture.arrange($("maps").clientWidth || 400);
    pictures.set(name, (shown = { scale, picture, item }));
  }
  const most = largest(values);
  shown.picture.paint(values, (value) => signed(value, most));
  const dead = name === "kernels" ? 0 : countDead(values, shape[2]);
  shown.scale.textContent = `largest ${amount(most)}${dead ? `; ${dead} of ${shape[2]} maps are 0 everywhere for this image` : ""}`;
}

function countDead(values, maps) {
  const alive = new Set();
  values.forEach((value, i) => { if (value !== 0) alive.add(i % maps); });
  return maps - alive.size;
}

// --- start ----------------------------------------------------------------------------------------------------

const trying = (work) => async (...args) => {
  try {
    await work(...args);
    return true;
  } catch (error) {
    $("problem").textContent = complaint(error);
    return false;
  }
};

const command = (name) => trying(async () => {
  if (course) await ask("learn/command", { command: name() });
});

const watch = async () => {
  for (;;) {
    const visible = course && document.visibilityState === "visible";
    const fine = visible ? await trying(look)() : true;
    await new Promise((done) => { setTimeout(done, fine ? (last?.playing ? REST : 2 * REST) : 1000); });
  }
};

const begin = trying(async () => {
  net = await ask("net");
  listClasses($("classes"), net.classes, (parts) => element("div", { className: "class" }, ...parts));
  pad = new Pad($("pad"), net.draws, () => { if (pad.strokes.length || !pad.image) image = null; });
  if (!net.draws) $("pad-help").textContent = "Choose a test image.";
  readAddress();
  const restart = trying(start);
  const showExample = trying(async () => {
    const found = await ask("example", { wrong: false });
    pad.load(unpack(found.image).values, found.image.shape);
    image = found.image.data;
  });
  $("play").addEventListener("click", command(() => (last?.playing ? "pause" : "play")));
  for (const name of ["step", "epoch", "back"]) $(name).addEventListener("click", command(() => name));
  $("restart").addEventListener("click", restart);
  form.addEventListener("change", restart);
  form.addEventListener("submit", (event) => { event.preventDefault(); restart(); });
  $("clear").addEventListener("click", () => pad.clear());
  $("random").addEventListener("click", showExample);
  onSchemeChange(() => pad.paint());
  new ResizeObserver(([{ contentRect }]) => { for (const { picture } of pictures.values()) picture.arrange(contentRect.width); }).observe($("maps"));
  await restart();
  await showExample();
  watch();
});
begin();
