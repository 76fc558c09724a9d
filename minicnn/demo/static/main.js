// The page: sends drawings to the server, and shows the outputs of the network.

import { ask, latest, toBase64, unpack } from "./api.js";
import { inked, largest, onSchemeChange, signed, under } from "./colours.js";
import { element, hide, show } from "./inspector.js";
import { Pad } from "./pad.js";
import { Picture } from "./picture.js";

const $ = (id) => document.getElementById(id);
const panel = $("inspector");
const state = { seen: null, gradients: null, chosen: null, view: "forward", cell: null, held: false };
let net, pad, speaks, speaking;
const stages = []; // {number, picture, item, name}

// --- layout ------------------------------------------------------------------------------------------------

function layOut() {
  $("net").textContent = `${net.model}, trained on ${net.dataset}.`;
  const texts = [`Input`, ...net.layers.map((layer, i) => `${i + 1} · ${layer.name}`)];
  [net.input, ...net.layers.map((layer) => layer.shape)].forEach((shape, number) => {
    if (net.hidden.includes(number)) return;
    const layer = net.layers[number - 1];
    const size = shape.length === 3 && shape[2] > 1 ? `${shape[2]} × ${shape[0]}×${shape[1]}` : shape.slice(0, 2).join("×");
    const weights = layer?.parameters ? `, ${layer.parameters.toLocaleString("en")} weights` : "";
    const help = "Arrow keys move from cell to cell, Page Up and Down from map to map, Enter holds the cell.";
    const picture = number
      ? new Picture(shape, `${texts[number]}, ${size}. ${help}`, (cell, held, by) => choose(number, cell, held, by))
      : new Picture(shape, "The drawing as the input of the network", null, 5);
    const title = element("h3", { textContent: `${texts[number]} ` }, element("small", { textContent: size + weights }));
    const item = element("li", { className: "layer" }, title, picture.element);
    if (!number) item.replaceChildren(pairUp(title, picture, shape));
    stages.push({ number, picture, item, name: texts[number] });
    $("layers").append(item);
  });
  net.classes.forEach((name, number) => {
    const button = element("button", { onclick: () => chooseClass(number) }, element("span", { textContent: name }),
      element("span", { className: "bar" }, element("i")), element("span", { className: "share" }));
    $("classes").append(element("li", {}, button));
    $("label").append(element("option", { value: number, textContent: name }));
  });
  $("classes").classList.toggle("worded", net.classes.some((name) => name.length > 2));
  new ResizeObserver(([{ contentRect }]) => {
    if (contentRect.width > 50) for (const { picture } of stages) picture.arrange(contentRect.width);
  }).observe($("layers"));
}

function pairUp(title, picture, shape) {
  speaks = new Picture(shape, "Pixels for and against the class", null, 5);
  const name = element("h3", { id: "speaks" });
  return element("div", { className: "pair" }, element("div", {}, title, picture.element), element("div", {}, name, speaks.element,
    element("p", { className: "help", textContent: "blue: ink raises its logit" })));
}

// --- showing ------------------------------------------------------------------------------------------------

function paint() {
  const { seen, gradients, view } = state;
  for (const { number, picture } of stages) paintStage(number, picture, view === "backward" && gradients ? gradients.stages[number] : null);
  const ink = seen ? unpack(seen.image).values : null;
  const gradient = seen ? seen.gradient.values : new Float32Array(speaks.rows * speaks.columns);
  const most = largest(gradient);
  const margin = (speaks.rows - 28) / 2;
  speaks.paint(gradient, (value, i) => {
    const at = (Math.floor(i / speaks.columns) - margin) * 28 + (i % speaks.columns) - margin;
    return under(signed(value, most), (ink?.[at] ?? 0) / 255);
  });
  $("speaks").textContent = `For and against ${seen ? net.classes[seen.class] : "it"}`;
}

function paintStage(number, picture, gradient) {
  const size = picture.flat ? picture.size : picture.rows * picture.columns * picture.channels;
  const values = gradient?.values ?? state.seen?.stages[number].values ?? new Float32Array(size);
  const most = largest(values);
  picture.paint(values, !gradient && number === 0 ? (value) => inked(value, most) : (value) => signed(value, most));
}

function showAnswer() {
  const { seen, chosen } = state;
  $("answer").textContent = seen ? net.classes[seen.answer] : "–";
  [...$("classes").children].forEach(({ firstChild: button }, number) => {
    const share = seen ? seen.probabilities.values[number] : 0;
    button.querySelector("i").style.transform = `scaleX(${share})`;
    button.querySelector(".share").textContent = seen ? `${(100 * share).toFixed(1)} %` : "";
    button.setAttribute("aria-pressed", chosen === number);
  });
  say(seen ? `Answer ${net.classes[seen.answer]}, ${Math.round(100 * seen.probabilities.values[seen.answer])} percent` : "");
}

// Screen readers announce the result when pen or keys rest, not at each move.
function say(text) {
  clearTimeout(speaking);
  speaking = setTimeout(() => { $("spoken").textContent = text; }, 700);
}

// --- requests -----------------------------------------------------------------------------------------------

const trying = (work) => async (...args) => {
  try {
    await work(...args);
    $("problem").textContent = "";
  } catch (error) {
    $("problem").textContent = error instanceof TypeError ? "The server does not respond; is it still running?" : error.message;
  }
};

const look = latest(trying(async () => {
  const start = performance.now();
  const given = pad.image && !pad.strokes.length ? { image: state.example } : { pixels: toBase64(pad.pixels()) };
  const seen = await ask("look", { ...given, class: state.chosen });
  if (seen.image) {
    for (const name of ["gradient", "probabilities"]) seen[name] = unpack(seen[name]);
    seen.stages = seen.stages.map(unpack);
  }
  state.seen = seen.image ? seen : null;
  if (state.view === "backward") await getGradients();
  showAnswer();
  paint();
  if (state.cell) inspect();
  document.body.dataset.milliseconds = performance.now() - start; // from the stroke to the pictures
}));

async function getGradients() {
  state.gradients = null;
  if (!state.seen) return;
  const gradients = await ask("backward", asked());
  state.gradients = { loss: gradients.loss, stages: gradients.stages.map(unpack) };
}

const label = () => ($("label").value === "" ? state.seen.answer : Number($("label").value));

const asked = () => ({ image: state.seen.image.data, label: label() });

function chooseClass(number) {
  state.chosen = state.chosen === number ? null : number;
  look();
}

const showExample = trying(async (wrong) => {
  const { index, label: truth, image } = await ask("example", { wrong });
  Object.assign(state, { example: image.data, chosen: null });
  $("label").value = truth;
  pad.load(unpack(image).values);
  $("source").textContent = `Test image ${index}, labelled ${net.classes[truth]}.`;
});

// --- a cell -------------------------------------------------------------------------------------------------

function choose(number, cell, held, by) {
  if (!state.seen || (state.held && !held)) return;
  const same = state.held && state.cell?.number === number && String(state.cell.cell) === String(cell);
  state.held = held === "walk" ? false : held && by !== "touch" && !same;
  state.cell = { number, cell };
  inspect();
}

const inspect = latest(trying(async () => {
  if (!state.cell || !state.seen) return letGo();
  const { number, cell } = state.cell;
  const found = await ask("cell", { image: state.seen.image.data, stage: number, cell });
  if (!state.cell) return undefined;
  const stage = stages.find((one) => one.number === number);
  const place = cell.length === 3 ? `map ${cell[2]}, row ${cell[0]}, column ${cell[1]}` : `number ${cell[0]}`;
  const title = `${stage.name}: ${place}`;
  if (panel.querySelector("h2").textContent !== title) say(`${title}: ${(found.relu ?? found.value).toPrecision(3)}`);
  show(panel, found, title, state.held, letGo, extraLines(number, cell));
  for (const { picture } of stages) picture.mark([]);
  stage.picture.mark([stage.picture.part(cell)]);
  const source = stages.find((one) => one.number === found.source);
  if (found.channels) source.picture.mark(found.channels.map((channel) => ({ ...found, channel })));
  return undefined;
}));

function extraLines(number, cell) {
  const gradient = state.view === "backward" && state.gradients?.stages[number];
  if (!gradient) return [];
  const [row, column, channel] = cell;
  const index = cell.length === 1 ? row : (row * gradient.shape[1] + column) * gradient.shape[2] + channel;
  return [`Gradient of the loss here: ${gradient.values[index].toExponential(3).replaceAll("-", "−")}`];
}

function letGo() {
  Object.assign(state, { cell: null, held: false });
  for (const { picture } of stages) picture.mark([]);
  hide(panel);
}

// --- training -----------------------------------------------------------------------------------------------

function setView(view) {
  state.view = view;
  document.querySelector(`[name=view][value=${view}]`).checked = true;
}

// Show the gradient stage by stage, from the output to the drawing.
const flow = trying(async () => {
  if (!demandDrawing()) return;
  setView("forward");
  paint();
  await getGradients();
  setView("backward");
  $("lesson").textContent = `The loss, −log of the probability of ${net.classes[label()]}, is ${state.gradients.loss.toFixed(4)}.`;
  const { gradients } = state;
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  for (const { number, picture, item } of stages.toReversed()) {
    if (state.gradients !== gradients) return; // something new was drawn
    paintStage(number, picture, gradients.stages[number]);
    item.classList.add("lit");
    if (!still) await new Promise((done) => { setTimeout(done, 180); });
    item.classList.remove("lit");
  }
  if (state.cell) inspect();
});

const step = trying(async () => {
  if (!demandDrawing()) return;
  const { before, after, steps } = await ask("step", asked());
  taught(steps, `One step with learning rate ${net.rate}: the loss went from ${before.toFixed(4)} to ${after.toFixed(4)}.`);
});

const unstep = trying(async () => {
  const { steps } = await ask("undo");
  taught(steps, steps ? `Undone; ${steps} ${steps === 1 ? "step" : "steps"} left.` : "Undone: the network is as it was.");
});

function taught(steps, text) {
  $("unstep").disabled = !steps;
  $("lesson").textContent = text;
  look();
}

function demandDrawing() {
  if (!state.seen) $("lesson").textContent = "Draw something first.";
  return state.seen;
}

// --- start --------------------------------------------------------------------------------------------------

const begin = trying(async () => {
  net = await ask("net");
  layOut();
  hide(panel);
  pad = new Pad($("pad"), () => {
    if (!pad.image || pad.strokes.length) $("source").textContent = "";
    look();
  });
  $("unstep").disabled = !net.steps;
  const clicks = { undo: () => pad.undo(), clear: () => pad.clear(), random: () => showExample(false),
    wrong: () => showExample(true), flow, step, unstep };
  for (const [id, work] of Object.entries(clicks)) $(id).addEventListener("click", work);
  $("label").addEventListener("change", look);
  for (const radio of document.querySelectorAll("[name=view]")) {
    radio.addEventListener("change", () => { state.view = radio.value; look(); });
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") letGo(); });
  onSchemeChange(() => { pad.paint(); paint(); });
  showAnswer();
  paint();
});
begin();
