// The settings of the window and its kernel: in the form, and in the address, so that a link has them.

import { ask, toBase64 } from "./api.js";
import { element } from "./format.js";
import { KernelEditor, PRESETS } from "./kernel.js";

const DEFAULTS = { operation: "conv", size: "3", stride: "1", dilation: "1", padding: "valid" };
const PADDINGS = { valid: "valid (none)", same: "same", ...Object.fromEntries([...Array(10).keys()].map((n) => [n + 1, n + 1])) };
const LARGEST = 11; // kernel
const $ = (id) => document.getElementById(id);

export class WindowForm {
  // changed() is called after each change.
  constructor(changed) {
    Object.assign(this, { changed, form: $("settings"), own: {} });
    for (const [value, textContent] of Object.entries(PADDINGS)) this.form.elements.padding.append(element("option", { value, textContent }));
    // Numbers come first in an object, so "valid" is found by its value.
    this.form.elements.padding.prepend(...["valid", "same"].map((value) => this.form.elements.padding.querySelector(`[value=${value}]`)));
    const brush = () => Number(document.querySelector("[name=brush]:checked").value);
    this.kernel = new KernelEditor($("kernel"), brush, () => { $("preset").value = ""; changed(); });
    this.size = null; // of the kernel when the form was looked at last
  }

  // image: the base64 of one that the network has seen; its kernels are presets, too.
  async start(net, image) {
    this.own = await ownKernels(net, image);
    for (const name of ["", ...Object.keys(PRESETS), ...Object.keys(this.own)]) $("preset").append(element("option", { value: name, textContent: name || "my own" }));
    this.readAddress();
    this.form.addEventListener("change", () => this.look());
    this.form.addEventListener("submit", (event) => event.preventDefault());
    $("preset").addEventListener("change", () => this.usePreset());
    this.look();
  }

  readAddress() {
    const given = new URLSearchParams(location.search);
    for (const [name, usual] of Object.entries(DEFAULTS)) {
      const field = this.form.elements[name];
      const wanted = given.get(name) ?? usual; // the address may hold anything
      field.value = field.type === "number" && !/^\d+$/.test(wanted) ? usual : wanted;
      if (!field.value || !field.checkValidity()) field.value = usual;
    }
    const size = this.size = Number(this.form.elements.size.value);
    const numbers = (given.get("kernel") ?? "").split(",").map(Number);
    const fits = numbers.length === size ** 2 && numbers.every((n) => n >= -100 && n < 100);
    this.kernel.set(fits ? Array.from({ length: size }, (_, row) => numbers.slice(row * size, (row + 1) * size)) : PRESETS["vertical edge"](size));
  }

  // What a request needs; the address gets it, too.
  settings() {
    const values = Object.fromEntries(Object.keys(DEFAULTS).map((name) => [name, this.form.elements[name].value]));
    const pools = values.operation !== "conv";
    const number = (name) => Number(values[name]);
    const padding = values.padding in { valid: 1, same: 1 } ? values.padding : number("padding");
    const body = { operation: values.operation, size: number("size"), stride: number("stride"), dilation: pools ? 1 : number("dilation"), padding };
    if (!pools) body.kernel = this.kernel.values;
    history.replaceState(null, "", `?${new URLSearchParams({ ...values, kernel: this.kernel.values.flat().join(",") })}${location.hash}`);
    return body;
  }

  look() {
    if (!this.form.reportValidity()) return;
    const pools = this.form.elements.operation.value !== "conv";
    this.form.elements.dilation.disabled = pools;
    $("editor").hidden = pools;
    const size = Number(this.form.elements.size.value);
    if (size !== this.size) {
      const preset = PRESETS[$("preset").value];
      if (preset) this.kernel.set(preset(size));
      else this.kernel.resize(size);
    }
    this.size = size;
    this.changed();
  }

  usePreset() {
    const name = $("preset").value;
    if (this.own[name]) {
      this.form.elements.size.value = this.size = this.own[name].length;
      this.kernel.set(this.own[name]);
    } else if (PRESETS[name]) this.kernel.set(PRESETS[name](this.size));
    this.changed();
  }
}

// The kernels of the network itself, if its first layer has some for grey images.
async function ownKernels(net, image) {
  const first = net.layers[0];
  if (first.name !== "Conv2D" || net.input[2] !== 1) return {};
  const own = {};
  for (let map = 0; map < first.shape[2]; map++) {
    const found = await ask("cell", { image: image ?? toBase64(new Uint8Array(net.input[0] * net.input[1])), stage: 1, cell: [0, 0, map] });
    if (found.kernel[0].length !== found.kernel[0][0].length || found.kernel[0].length > LARGEST) return {};
    [own[`filter ${map} of the network`]] = found.kernel;
  }
  return own;
}
