// The page: sends drawings and pictures to the server, and shows the outputs of the network.

import { ask, complaint, latest, offersOf, toBase64, unpack } from "./api.js";
import { listenToCamera } from "./camera.js";
import { listClasses, showAnswer as writeAnswer, showShares } from "./classes.js";
import { onSchemeChange } from "./colours.js";
import { element } from "./format.js";
import { hide, show } from "./inspector.js";
import { Lecture } from "./lecture.js";
import { Pad } from "./pad.js";
import { listenForPictures } from "./pictures.js";
import { hideResult } from "./result.js";
import { Stages } from "./stages.js";
import { Teaching } from "./teaching.js";

const $ = (id) => document.getElementById(id);
const panel = $("inspector");
const state = { seen: null, gradients: null, chosen: null, view: "forward", cell: null, held: false, example: null, labelled: false };
let net, offered, pad, stages, speaking, lecture;

// --- layout ------------------------------------------------------------------------------------------------

function layOut() {
  $("net").textContent = `${net.model}${net.dataset ? `, trained on ${net.dataset}` : ""}. ${net.notice ?? ""}`;
  if (!net.draws) {
    $("task").textContent = "Show a picture, and look inside the network while it classifies it.";
    $("draw-title").textContent = "Picture";
    $("pad-help").textContent = offered("picture") ? "Drop a picture anywhere, paste one, choose a file, or use the camera." : "";
    for (const id of ["undo", "clear"]) $(id).hidden = true;
    $("pad").setAttribute("role", "img");
    $("pad").setAttribute("aria-label", "The picture");
    $("pad").removeAttribute("tabindex");
  }
  for (const id of ["random", "wrong"]) $(id).hidden = !net.examples;
  stages = new Stages(net, $("layers"), choose, offered("gradient"));
  const opines = offered("gradient");
  if (!opines) $("classes").setAttribute("aria-label", "Probability of each class");
  listClasses($("classes"), net.classes, (parts, number) => (opines
    ? element("button", { onclick: () => chooseClass(number) }, ...parts) : element("div", { className: "class" }, ...parts)));
  net.classes.forEach((name, number) => $("label").append(element("option", { value: number, textContent: name })));
}

// --- showing ------------------------------------------------------------------------------------------------

const paint = () => stages.paint(state.seen, state.view === "backward" ? state.gradients : null);

function showAnswer() {
  const { seen, chosen } = state;
  writeAnswer($("answer"), net.classes, seen && seen.probabilities.values);
  showShares($("classes"), seen && seen.probabilities.values);
  [...$("classes").children].forEach(({ firstChild: button }, number) => {
    if (button.tagName === "BUTTON") button.setAttribute("aria-pressed", chosen === number);
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
    complain(complaint(error));
  }
};

// In the dialog that is open, as it hides the page.
function complain(text) {
  (document.querySelector("dialog[open]") ?? document.body).append($("problem"));
  $("problem").textContent = text;
}

// A first answer may take a while, in a copy that has its network to load.
function patiently(answer) {
  const slow = setTimeout(() => { $("answer").textContent = "…"; }, 400);
  return answer.finally(() => clearTimeout(slow));
}

const look = latest(trying(async () => {
  const start = performance.now();
  const given = pad.image && !pad.strokes.length ? { image: state.example } : { pixels: toBase64(pad.pixels()) };
  const seen = pad.draws || pad.image ? await patiently(ask("look", { ...given, class: state.chosen })) : {};
  if (seen.image) {
    for (const name of ["gradient", "probabilities"]) if (seen[name]) seen[name] = unpack(seen[name]);
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
  const buttons = [$("random"), $("wrong")];
  $("source").textContent = wrong ? "Searching the test images …" : "";
  for (const button of buttons) button.disabled = true;
  try {
    const { index, label: truth, image, of, wrong: missed } = await ask("example", { wrong });
    load(image);
    Object.assign(state, { labelled: true });
    $("label").value = truth;
    const among = wrong ? ` The network misclassifies ${missed.toLocaleString("en")} of ${of.toLocaleString("en")}.` : "";
    $("source").textContent = `Test image ${index}, labelled ${net.classes[truth]}.${among}`;
  } catch (error) {
    $("source").textContent = "";
    throw error;
  } finally {
    for (const button of buttons) button.disabled = false;
  }
});

// Show an image of the server's.
function load(image) {
  if (state.labelled) $("label").value = "";
  Object.assign(state, { example: image.data, chosen: null, labelled: false });
  pad.load(unpack(image).values, image.shape);
}

const showPicture = trying(async (file) => {
  const { image } = await ask("picture", { file });
  load(image);
  $("source").textContent = "Your picture, as the network gets it.";
});

// What came with a test image goes with it: its name and its label.
function padChanged() {
  if (!pad.image || pad.strokes.length) {
    $("source").textContent = "";
    if (state.labelled || (!pad.image && !pad.strokes.length)) $("label").value = "";
    state.labelled = false;
  }
  hideResult();
  look();
}

// --- a cell -------------------------------------------------------------------------------------------------

function choose(number, cell, held, by) {
  if (!state.seen || (state.held && !held)) return;
  if (lecture.on && held === true) {
    lecture.enlarge(number, cell);
    return;
  }
  const same = state.held && state.cell?.number === number && String(state.cell.cell) === String(cell);
  state.held = held === "walk" ? false : held && by !== "touch" && !same;
  state.cell = { number, cell };
  inspect();
}

const inspect = latest(trying(async () => {
  if (!state.cell || !state.seen) return letGo();
  const { number, cell } = state.cell;
  const { found, title, extra } = await cellArithmetic(number, cell);
  if (!state.cell) return undefined;
  if (panel.querySelector("h2").textContent !== title) say(`${title}: ${(found.relu ?? found.value).toPrecision(3)}`);
  show(panel, found, title, state.held, letGo, extra);
  panel.append(lecture.buttons(number, cell, found));
  stages.mark(number, cell, found);
  return undefined;
}));

async function cellArithmetic(number, cell) {
  const found = await ask("cell", { image: state.seen.image.data, stage: number, cell });
  const place = cell.length === 3 ? `map ${cell[2]}, row ${cell[0]}, column ${cell[1]}` : `number ${cell[0]}`;
  return { found, title: `${stages.find(number).name}: ${place}`, extra: extraLines(number, cell) };
}

function extraLines(number, cell) {
  const gradient = state.view === "backward" && state.gradients?.stages[number];
  if (!gradient) return [];
  const [row, column, channel] = cell;
  const index = cell.length === 1 ? row : (row * gradient.shape[1] + column) * gradient.shape[2] + channel;
  return [`Gradient of the loss here: ${gradient.values[index].toExponential(3).replaceAll("-", "−")}`];
}

function letGo() {
  Object.assign(state, { cell: null, held: false });
  stages.unmark();
  hide(panel);
}

// --- start --------------------------------------------------------------------------------------------------

const begin = trying(async () => {
  net = await ask("net");
  offered = offersOf(net);
  layOut();
  hide(panel);
  const teaching = new Teaching({ net, state, stages, trying, label, asked, getGradients, paint, look, inspect });
  lecture = new Lecture({ stages, list: $("layers"), state, cellArithmetic, complain, say, offered, drawn: () => teaching.demandDrawing(),
    gradients: async () => { await getGradients(); return state.gradients; } });
  pad = new Pad($("pad"), net.draws, padChanged);
  const clicks = { undo: () => pad.undo(), clear: () => pad.clear(), random: () => showExample(false),
    wrong: () => showExample(true), dismiss: hideResult };
  for (const [id, work] of Object.entries(clicks)) $(id).addEventListener("click", work);
  listenForPictures($("open"), $("file"), showPicture, (text) => { $("problem").textContent = text; });
  listenToCamera($("camera"), showPicture, complain);
  $("label").addEventListener("change", () => { state.labelled = false; look(); });
  for (const radio of document.querySelectorAll("[name=view]")) {
    radio.addEventListener("change", () => { state.view = radio.value; look(); });
  }
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") letGo(); });
  onSchemeChange();
  showAnswer();
  paint();
  if (!net.draws && !offered("picture")) showExample(false); // there is nothing else to begin with
});
begin();
