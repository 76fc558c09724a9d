// The third page: padding, stride, kernel and dilation to change, a kernel to draw, filters to turn off.

import { ask, complaint, latest, toBase64, unpack } from "./api.js";
import { listenToCamera } from "./camera.js";
import { inked, largest, onSchemeChange, signed } from "./colours.js";
import { Filters } from "./filters.js";
import { amount, counted, element, number as digits, percent } from "./format.js";
import { show } from "./inspector.js";
import { KernelEditor, PRESETS } from "./kernel.js";
import { offerLargeType } from "./large.js";
import { Pad } from "./pad.js";
import { Picture } from "./picture.js";
import { listenForPictures } from "./pictures.js";
import { answerPicture } from "./result.js";

const $ = (id) => document.getElementById(id);
const DEFAULTS = { operation: "conv", size: "3", stride: "1", dilation: "1", padding: "valid" };
const PADDINGS = { valid: "valid (none)", same: "same", ...Object.fromEntries([...Array(10).keys()].map((n) => [n + 1, n + 1])) };
// CSS pixels of a picture, about.
const side = () => (document.documentElement.classList.contains("large") ? 0.38 * innerHeight : Math.max(160, Math.min(250, 0.3 * innerHeight)));
const form = $("settings");
let net, pad, kernel, filters, image = null, asked = null, cell = null, lastSize;

const trying = (work) => async (...args) => {
  try {
    await work(...args);
    $("problem").textContent = "";
  } catch (error) {
    $("problem").textContent = complaint(error);
  }
};

// --- settings, in the form and in the address ---------------------------------------------------------------

function readAddress() {
  const given = new URLSearchParams(location.search);
  for (const [name, usual] of Object.entries(DEFAULTS)) {
    const field = form.elements[name];
    const wanted = given.get(name) ?? usual; // the address may hold anything
    field.value = field.type === "number" && !/^\d+$/.test(wanted) ? usual : wanted;
    if (!field.value || !field.checkValidity()) field.value = usual;
  }
  lastSize = Number(form.elements.size.value);
  const numbers = (given.get("kernel") ?? "").split(",").map(Number);
  const fits = numbers.length === lastSize ** 2 && numbers.every((n) => n >= -100 && n < 100);
  kernel.set(fits ? Array.from({ length: lastSize }, (_, row) => numbers.slice(row * lastSize, (row + 1) * lastSize)) : PRESETS["vertical edge"](lastSize));
}

function settings() {
  const values = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, form.elements[name].value]));
  const pools = values.operation !== "conv";
  const number = (name) => Number(values[name]);
  const padding = values.padding in { valid: 1, same: 1 } ? values.padding : number("padding");
  const body = { operation: values.operation, size: number("size"), stride: number("stride"), dilation: pools ? 1 : number("dilation"), padding };
  if (!pools) body.kernel = kernel.values;
  history.replaceState(null, "", `?${new URLSearchParams({ ...values, kernel: kernel.values.flat().join(",") })}${location.hash}`);
  return body;
}

function formChanged() {
  if (!form.reportValidity()) return;
  const pools = form.elements.operation.value !== "conv";
  form.elements.dilation.disabled = pools;
  $("editor").hidden = pools;
  const size = Number(form.elements.size.value);
  if (size !== lastSize) {
    const preset = PRESETS[$("preset").value];
    if (preset) kernel.set(preset(size));
    else kernel.resize(size);
  }
  lastSize = size;
  slide();
}

// --- the window ---------------------------------------------------------------------------------------------

const given = () => (image ? { image } : { pixels: toBase64(pad.pixels()) });
const hasImage = () => image || (pad.draws && pad.strokes.length);

const slide = latest(trying(async () => {
  if (!hasImage()) {
    for (const id of ["formula", "facts", "image-size", "output-size"]) $(id).textContent = "";
    for (const id of ["image", "output", "arithmetic"]) $(id).replaceChildren();
    return;
  }
  const start = performance.now();
  const body = { ...settings(), ...given() };
  const found = await ask("slide", body);
  if (!found.image) return;
  asked = { ...body, image: found.image.data };
  delete asked.pixels;
  showFormula(found, body);
  showImages(unpack(found.x), unpack(found.y), found.axes);
  document.body.dataset.milliseconds = performance.now() - start;
}));

// out = floor((n + before + after - d (k - 1) - 1) / s) + 1, filled in.
function showFormula({ axes, span }, { size: k, stride: s, dilation: d, padding, operation }) {
  const [rows, columns] = axes;
  const same = JSON.stringify(rows) === JSON.stringify(columns);
  const filled = ({ n, before, after, out }) => [`⌊(${n} + ${before} + ${after} − ${d}·(${k} − 1) − 1) / ${s}⌋ + 1 = `, element("b", { textContent: out })];
  const parts = same ? filled(rows) : ["rows: ", ...filled(rows), "; columns: ", ...filled(columns)];
  $("formula").replaceChildren("output = ⌊(n + before + after − d·(k − 1) − 1) / s⌋ + 1 = ", ...parts);
  const facts = [];
  if (d > 1) facts.push(`With dilation ${d}, the window of ${k}×${k} weights spans ${span}×${span} cells.`);
  if (padding === "same") facts.push(`“same” pads so that the output has ⌈n / s⌉ = ⌈${rows.n} / ${s}⌉ = ${rows.out} rows; an odd row goes after.`);
  const missed = [["row", rows], ["column", columns]].map(([name, { n, before, after }]) => [name, (n + before + after - span) % s])
    .filter(([, rest]) => rest).map(([name, rest]) => (rest === 1 ? `last ${name}` : `last ${rest} ${name}s`));
  if (missed.length) facts.push(`No window reaches the ${missed.join(" and the ")}.`);
  const weights = k * k * (operation === "conv" ? net.input[2] : 1);
  const cells = `${rows.out}×${columns.out}`;
  facts.push(operation === "conv" ? `${cells} outputs of ${counted(weights, "weight")} each: ${(rows.out * columns.out * weights).toLocaleString("en")} multiplications.`
    : `${cells} outputs; pooling has no weights.`);
  if (operation === "conv" && net.input[2] > 1) facts.push(`The kernel is the same for each of the ${net.input[2]} channels, which are added up.`);
  $("facts").textContent = facts.join(" ");
}

const shown = {};

// Keep a picture, with the cell that the keys are at, as long as its shape is the same.
function pictureOf(place, shape, label, chosen) {
  const key = `${shape} ${side()}`;
  if (shown[place]?.key !== key) {
    const room = Math.max(100, Math.min(side(), document.querySelector(".bench").clientWidth - 4));
    const picture = new Picture(shape, label, chosen, Math.max(1, Math.floor(room / Math.max(shape[0], shape[1]))));
    shown[place] = { key, picture };
    picture.arrange(shape.length === 3 && shape[2] > 1 ? shape[2] * (shape[1] + 2) * picture.scale : room * 1.2);
  }
  $(place).replaceChildren(shown[place].picture.element);
  return shown[place].picture;
}

// The image with its padding, and the output.
function showImages(x, y, [rows, columns]) {
  const [height, width, channels] = x.shape;
  const [tall, wide] = [rows.before + height + rows.after, columns.before + width + columns.after];
  const padded = new Float32Array(tall * wide * channels).fill(NaN);
  for (let row = 0; row < height; row++) {
    const from = row * width * channels;
    padded.set(x.values.subarray(from, from + width * channels), ((row + rows.before) * wide + columns.before) * channels);
  }
  const most = largest(x.values);
  const shade = channels === 1 ? inked : signed;
  const picture = pictureOf("image", [tall, wide, channels], "The image with its padding");
  picture.paint(padded, (value) => (Number.isNaN(value) ? 0 : shade(value, most)));
  picture.offset = [rows.before, columns.before];
  const output = pictureOf("output", y.shape, "The output. Arrow keys move from cell to cell.", (where) => { cell = where; explain(); });
  const strongest = largest(y.values);
  output.paint(y.values, (value) => signed(value, strongest));
  $("image-size").textContent = `${height}×${width}${tall !== height || wide !== width ? `, padded ${tall}×${wide}` : ""}`;
  $("output-size").textContent = `${y.shape[0]}×${y.shape[1]}, largest ${amount(strongest)}`;
  if (cell && cell.every((at, i) => at < y.shape[i])) explain();
  else letGo();
}

function letGo() {
  cell = null;
  for (const { picture } of Object.values(shown)) picture.mark([]);
  $("arithmetic").replaceChildren();
}

const explain = latest(trying(async () => {
  if (!cell || !asked) return;
  const where = cell;
  const { cell: found } = await ask("slide", { ...asked, cell: where });
  if (cell !== where) return;
  show($("arithmetic"), found, `Output: ${where[2] ? `map ${where[2]}, ` : ""}row ${where[0]}, column ${where[1]}: ${digits(found.value)}`, false, letGo, []);
  const { picture } = shown.image;
  const [before, left] = picture.offset;
  picture.mark(found.channels.map((channel) => ({ channel, top: found.top + before, left: found.left + left, rows: found.rows, columns: found.columns })));
  shown.output.picture.mark([shown.output.picture.part(where)]);
}));

// --- filters ------------------------------------------------------------------------------------------------

const answer = latest(trying(async () => {
  $("all").disabled = !filters.off.size;
  if (!hasImage()) {
    $("answer").textContent = "–";
    $("change").replaceChildren();
    $("told").textContent = "";
    return;
  }
  const found = await ask("without", { ...given(), off: filters.list });
  if (!found.image) return;
  const [was, now] = [unpack(found.was).values, unpack(found.now).values];
  const best = (shares) => shares.indexOf(Math.max(...shares));
  filters.show(found.filters.map((one) => ({ ...one, values: unpack(one.values) })));
  $("answer").textContent = net.classes[best(now)];
  $("change").replaceChildren(answerPicture(was, now, net.classes, best(was)));
  const off = filters.off.size;
  $("told").textContent = off ? `With ${counted(off, "filter")} off: ${net.classes[best(now)]}, ${percent(now[best(now)])}. With all on: ${net.classes[best(was)]}, ${percent(was[best(was)])}.`
    : `${net.classes[best(was)]}, ${percent(was[best(was)])}, with all filters on.`;
}));

// --- start --------------------------------------------------------------------------------------------------

function load(found) {
  image = null; // the pad tells that it changes before the new image is there
  pad.load(unpack(found).values, found.shape);
  image = found.data;
  refresh();
}

function refresh() {
  slide();
  answer();
}

const showExample = trying(async () => load((await ask("example", { wrong: false })).image));

// The kernels of the network itself, if its first layer has some for grey images.
async function addOwnKernels() {
  const first = net.layers[0];
  if (first.name !== "Conv2D" || net.input[2] !== 1) return {};
  const own = {};
  for (let map = 0; map < first.shape[2]; map++) {
    const blank = toBase64(new Uint8Array(net.input[0] * net.input[1]));
    const found = await ask("cell", { image: blank, stage: 1, cell: [0, 0, map] });
    if (found.kernel[0].length !== found.kernel[0][0].length || found.kernel[0].length > 11) return {};
    [own[`filter ${map} of the network`]] = found.kernel;
  }
  return own;
}

function usePreset(own) {
  const name = $("preset").value;
  if (own[name]) {
    form.elements.size.value = lastSize = own[name].length;
    kernel.set(own[name]);
  } else if (PRESETS[name]) kernel.set(PRESETS[name](lastSize));
  slide();
}

const begin = trying(async () => {
  net = await ask("net");
  $("net").textContent = net.dataset ? `${net.model}, trained on ${net.dataset}.` : `${net.model}.`;
  for (const [value, textContent] of Object.entries(PADDINGS)) form.elements.padding.append(element("option", { value, textContent }));
  // Numbers come first in an object, so "valid" is found by its value.
  form.elements.padding.prepend(...["valid", "same"].map((value) => form.elements.padding.querySelector(`[value=${value}]`)));
  const brush = () => Number(document.querySelector("[name=brush]:checked").value);
  kernel = new KernelEditor($("kernel"), brush, () => { $("preset").value = ""; slide(); });
  filters = new Filters($("filters"), answer);
  pad = new Pad($("pad"), net.draws, () => {
    if (pad.strokes.length || !pad.image) image = null;
    if (pad.strokes.length || !pad.image) refresh();
  });
  if (!net.draws) {
    $("draw-title").textContent = "Picture";
    $("pad-help").textContent = "Drop a picture anywhere, paste one, choose a file, or use the camera.";
    $("pad").setAttribute("role", "img");
    $("pad").setAttribute("aria-label", "The picture");
    $("pad").removeAttribute("tabindex");
  }
  $("random").hidden = !net.examples;
  const own = await addOwnKernels();
  for (const name of ["", ...Object.keys(PRESETS), ...Object.keys(own)]) $("preset").append(element("option", { value: name, textContent: name || "my own" }));
  readAddress();
  form.addEventListener("change", formChanged);
  form.addEventListener("submit", (event) => event.preventDefault());
  $("preset").addEventListener("change", () => usePreset(own));
  $("clear").addEventListener("click", () => pad.clear());
  $("random").addEventListener("click", showExample);
  $("all").addEventListener("click", () => filters.allOn());
  const showPicture = trying(async (file) => load((await ask("picture", { file })).image));
  const complain = (text) => { $("problem").textContent = text; };
  listenForPictures($("open"), $("file"), showPicture, complain);
  listenToCamera($("camera"), showPicture, complain);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") letGo(); });
  onSchemeChange(() => { pad.paint(); refresh(); kernel.colour(); });
  offerLargeType(slide);
  formChanged();
  if (net.examples) await showExample();
});
begin();
