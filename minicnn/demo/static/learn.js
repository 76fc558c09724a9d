// The second page: networks with random weights learn, and everything changes live.

import { ask, complaint, toBase64, unpack } from "./api.js";
import { listenToCamera } from "./camera.js";
import { drawChart } from "./chart.js";
import { onSchemeChange } from "./colours.js";
import { counted, element, write } from "./format.js";
import { enlargement, fitCard, offerLargeType, onOneScreen } from "./large.js";
import { Collection } from "./learn-drawings.js";
import { NetPanel } from "./learn-net.js";
import { SettingsForm } from "./learn-settings.js";
import { Pad } from "./pad.js";
import { listenForPictures } from "./pictures.js";
import { streamed } from "./stream.js";

const $ = (id) => document.getElementById(id);
const PERIOD = 92; // milliseconds from one look to the next while somebody draws, and twice that while nothing learns
const STROKES = 300; // milliseconds without a stroke, after which nobody draws
const state = { image: null, version: 0, strokedAt: null, drawnAt: -Infinity, last: null, course: 0, panels: [], described: [], grown: false };
let net, pad, form, collection, stream = null, rested = () => {};

// --- starting -------------------------------------------------------------------------------------------------

async function start() {
  if (!form.isValid()) return;
  const wasPlaying = state.last?.playing;
  const sent = { ...form.chosen(), ...(form.learnsOwn() ? { drawings: collection.drawings } : {}) };
  const course = ++state.course;
  state.last = null;
  const { nets } = await ask("learn/start", sent);
  if (course !== state.course) return; // something else was chosen
  state.described = nets;
  layOut(nets);
  if (wasPlaying) await ask("learn/command", { command: "play" });
  wake();
}

function layOut(nets) {
  const race = nets.length > 1;
  const [{ images }] = nets;
  $("net").textContent = `${counted(images, "image")} of ${form.learnsOwn() ? "your own" : net.dataset}.`;
  state.panels = nets.map((described, i) => new NetPanel(race ? "AB"[i] : "", described, net.classes, () => { state.grown = true; }));
  $("nets").replaceChildren(...state.panels.map((panel) => panel.element));
  $("status").replaceChildren(...state.panels.map((panel) => panel.status));
  $("advice").replaceChildren(...state.panels.map((panel) => panel.advice));
  $("answers").replaceChildren(...(race ? [] : state.panels.map((panel) => panel.answers)));
  document.body.classList.toggle("race", race);
  arrange();
}

// Lay out what is inside the networks: in lecture mode, as large as there is room.
function arrange() {
  state.grown = false;
  const set = (factor) => { for (const panel of state.panels) panel.arrange(factor); };
  if (onOneScreen()) fitCard($("inside"), set, 0.3, 8);
  else set(enlargement());
}

// --- watching -------------------------------------------------------------------------------------------------

const shown = () => (state.image ? { image: state.image } : pad.strokes.length ? { pixels: toBase64(pad.pixels()) } : {});

async function look() {
  const { version, course, strokedAt } = state;
  state.strokedAt = null;
  take(await ask("learn/look", shown()), version, course);
  if (strokedAt) document.body.dataset.milliseconds = performance.now() - strokedAt; // from the stroke to the answer
}

// While networks learn, the server sends pictures without being asked for each, until something is drawn.
async function follow() {
  const { version, course } = state;
  stream = new AbortController();
  try {
    for await (const seen of streamed("learn/watch", shown(), stream.signal)) {
      take(seen, version, course);
      if (state.mute) quiet();
    }
  } catch (error) {
    if (!stream.signal.aborted) throw error;
  }
}

function take(seen, version, course) {
  if (course !== state.course) return;
  if (version === state.version && seen.image) state.image = seen.image.data;
  state.last = seen;
  show(seen);
  document.body.dataset.pictures = 1 + Number(document.body.dataset.pictures ?? 0);
}

function show({ playing, back, error, nets }) {
  write($("play"), playing ? "Pause" : "Play");
  $("back").disabled = !back;
  nets.forEach((seen, i) => state.panels[i].show(seen, playing));
  if (state.grown) arrange();
  if (error) $("problem").textContent = error;
  for (const [id, column, most] of [["loss", 1, null], ["accuracy", 2, 1]]) {
    drawChart($(id), nets.flatMap((seen, i) => state.panels[i].curves(seen, column)), most);
    const values = state.panels.map((panel) => panel.said(column)).filter(Boolean);
    $(id).setAttribute("aria-label", [id === "loss" ? "Loss" : "Accuracy", ...values].join(", "));
  }
}

// In lecture mode, settings that have no room are closed: they are a click away.
function tidy() {
  const card = $("course");
  if (onOneScreen() && card.scrollHeight > card.clientHeight) $("choices").open = false;
}

const trying = (work) => async (...args) => {
  $("problem").textContent = ""; // first, since what is called inside may have something to say
  try {
    await work(...args);
    return true;
  } catch (error) {
    $("problem").textContent = complaint(error);
    return false;
  }
};

const rest = (milliseconds) => new Promise((done) => {
  const timer = setTimeout(done, milliseconds);
  rested = () => { clearTimeout(timer); done(); };
});

// Look at once, whatever the page waits for.
function wake() {
  stream?.abort();
  rested();
}

async function watch() {
  for (;;) {
    const began = performance.now();
    const looks = state.panels.length > 0 && document.visibilityState === "visible";
    const draws = began - state.drawnAt < STROKES;
    const fine = looks ? await quietly(state.last?.playing && !draws ? follow : look) : true;
    const period = fine ? (state.last?.playing ? PERIOD : 2 * PERIOD) : 1000;
    if (!looks || !fine || !state.strokedAt) await rest(Math.max(5, period - (performance.now() - began)));
  }
}

// A look that works does not wipe away what another request has complained about.
async function quietly(work) {
  try {
    await work();
    if (state.mute) quiet();
    return true;
  } catch (error) {
    state.mute = true;
    $("problem").textContent = complaint(error);
    return false;
  }
}

function quiet() {
  $("problem").textContent = "";
  state.mute = false;
}

// --- pad ------------------------------------------------------------------------------------------------------

function padChanged() {
  state.version++;
  if (pad.strokes.length || !pad.image) state.image = null;
  state.strokedAt = state.drawnAt = performance.now();
  wake();
}

// What the pad shows as the network gets it: the server makes that of a drawing.
async function drawnImage() {
  if (!state.image && pad.strokes.length) await quietly(look);
  return state.image;
}

function load(image, given = false) {
  pad.load(unpack(image).values, image.shape, given);
  state.image = image.data;
}

const showExample = async (given = false) => load((await ask("example", { wrong: false })).image, given);

// --- start ----------------------------------------------------------------------------------------------------

const command = (name) => trying(async () => {
  if (!state.panels.length) await start(); // which says why there is no network, if there is still none
  if (!state.panels.length) return;
  await ask("learn/command", { command: name() });
  wake();
});

const begin = trying(async () => {
  offerLargeType(() => { arrange(); tidy(); });
  const [described, options] = await Promise.all([ask("net"), ask("learn/options")]);
  net = described;
  pad = new Pad($("pad"), net.draws, padChanged);
  if (!net.draws) $("pad-help").textContent = "Drop a picture anywhere, paste one, choose a file, or use the camera.";
  const restart = trying(start);
  collection = new Collection($("collection"), options.drawings, net, drawnImage, (added) => {
    if (added) pad.clear();
    if (form.learnsOwn()) restart();
  });
  form = new SettingsForm({ form: $("settings"), preset: $("preset"), race: $("race"), about: $("about"), hint: $("hint") }, options, restart);
  const plays = form.readAddress();
  if (matchMedia("(max-width: 760px)").matches) $("choices").open = false;
  $("play").addEventListener("click", command(() => (state.last?.playing ? "pause" : "play")));
  for (const name of ["step", "epoch", "back"]) $(name).addEventListener("click", command(() => name));
  $("restart").addEventListener("click", restart);
  $("clear").addEventListener("click", () => pad.clear());
  $("random").addEventListener("click", trying(() => showExample()));
  $("random").hidden = !net.examples;
  const showPicture = trying(async (file) => load((await ask("picture", { file })).image));
  const complain = (text) => { $("problem").textContent = text; };
  listenForPictures($("open"), $("file"), showPicture, complain);
  listenToCamera($("camera"), showPicture, complain);
  onSchemeChange(() => { if (state.last) show(state.last); });
  document.addEventListener("visibilitychange", wake);
  new ResizeObserver(arrange).observe($("inside"));
  const started = await restart();
  tidy();
  watch();
  if (started && plays) await command(() => "play")();
  if (net.examples) await showExample(true);
});
begin();
