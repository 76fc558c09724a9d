// The settings of one network or of two in a race: a form made from the server's list of options, and the address.

import { element } from "./format.js";

const SIDES = ["a", "b"];
const RIVAL = "b."; // before the names of the second network's settings in the address

export class SettingsForm {
  // parts: {form, preset, race, about, hint}, elements; described: the server's list; changed() after each choice.
  constructor(parts, described, changed) {
    Object.assign(this, parts, { described, changed, inputs: { a: {}, b: {} } });
    this.build();
    this.preset.append(element("option", { value: "", textContent: "what is chosen below" }),
      ...Object.entries(described.presets).map(([value, { label }]) => element("option", { value, textContent: label })));
    this.preset.addEventListener("change", () => this.usePreset(described.presets[this.preset.value]));
    this.race.addEventListener("change", () => {
      if (this.race.checked) this.fill("b", this.values("a"));
      this.chooseOwn();
    });
    this.form.addEventListener("change", () => this.chooseOwn());
    this.form.addEventListener("submit", (event) => { event.preventDefault(); changed(); });
  }

  build() {
    for (const [group, title] of Object.entries(this.described.groups)) {
      const options = this.described.options.filter((option) => option.group === group);
      this.form.append(element("fieldset", {}, element("legend", { textContent: title }), ...options.map((option) => this.row(option))));
    }
    this.form.append(element("button", { className: "hidden", tabIndex: -1, ariaHidden: "true" })); // Enter submits
  }

  row(option) {
    const { name, label, help } = option;
    const explain = () => { this.hint.textContent = `${label}: ${help}`; };
    const described = element("span", { id: `help-${name}`, className: "hidden", textContent: help });
    const inputs = SIDES.map((side) => {
      const input = makeInput(option);
      Object.assign(input, { id: `${side}-${name}`, name: side === "a" ? name : RIVAL + name });
      input.setAttribute("aria-label", side === "a" ? label : `${label} of B`);
      input.setAttribute("aria-describedby", described.id);
      input.addEventListener("focus", explain);
      this.inputs[side][name] = input;
      return input;
    });
    const row = element("div", { className: "option" }, element("label", { htmlFor: inputs[0].id, textContent: label }),
      element("span", { className: "sides" }, ...inputs), described);
    row.addEventListener("pointerenter", explain);
    return row;
  }

  values(side) {
    return Object.fromEntries(Object.entries(this.inputs[side]).map(([name, input]) => [name, input.value.trim()]));
  }

  fill(side, values) {
    for (const { name, usual } of this.described.options) {
      const input = this.inputs[side][name];
      input.value = values[name] ?? usual;
      // The address may hold anything; what no input can hold becomes the usual value. An empty list is one.
      if (!input.value && values[name] !== "") input.value = usual;
      if (!input.value && input.required) input.value = usual;
    }
  }

  usePreset(preset) {
    if (preset) {
      this.fill("a", preset.settings);
      this.race.checked = Boolean(preset.rival);
      if (preset.rival) this.fill("b", preset.rival);
    }
    this.update();
    this.changed();
  }

  chooseOwn() {
    this.update();
    this.changed();
  }

  // What has no effect is hidden; of two networks, what differs is marked.
  update() {
    const race = this.race.checked;
    this.form.classList.toggle("two", race);
    const sides = race ? SIDES : ["a"];
    for (const { name, needs } of this.described.options) {
      const works = (side) => Object.entries(needs).every(([other, value]) => this.inputs[side][other].value === value);
      const row = this.inputs.a[name].closest(".option");
      row.hidden = !sides.some(works);
      for (const side of SIDES) this.inputs[side][name].disabled = !works(side) || (side === "b" && !race);
      row.classList.toggle("differs", race && this.inputs.a[name].value !== this.inputs.b[name].value);
    }
    const chosen = JSON.stringify(this.chosen());
    const { presets } = this.described;
    this.preset.value = Object.keys(presets).find((name) => JSON.stringify(this.normal(presets[name])) === chosen) ?? "";
    this.about.textContent = presets[this.preset.value]?.text ?? "";
    this.writeAddress();
  }

  normal({ settings, rival }) {
    const order = (values) => values && Object.fromEntries(this.described.options.map(({ name }) => [name, values[name]]));
    return { settings: order(settings), rival: order(rival) };
  }

  isValid() {
    return this.form.reportValidity();
  }

  // What the server is asked for.
  chosen() {
    return this.normal({ settings: this.values("a"), rival: this.race.checked ? this.values("b") : null });
  }

  learnsOwn() {
    return !this.described.has_data || this.inputs.a.data.value === "own" || (this.race.checked && this.inputs.b.data.value === "own");
  }

  // --- the address: what differs from the usual values, and the seed --------------------------------------------

  writeAddress() {
    const query = new URLSearchParams();
    const { settings, rival } = this.chosen();
    for (const { name, usual } of this.described.options) {
      if (settings[name] !== usual || name === "seed") query.set(name, settings[name]);
    }
    if (rival) {
      query.set("race", "1");
      for (const { name } of this.described.options) if (rival[name] !== settings[name]) query.set(RIVAL + name, rival[name]);
    }
    history.replaceState(null, "", `?${query}`);
  }

  // Fill the form; return whether the training is to begin by itself.
  readAddress() {
    const query = new URLSearchParams(location.search);
    const names = this.described.options.map(({ name }) => name);
    const given = (prefix) => Object.fromEntries(names.filter((name) => query.has(prefix + name)).map((name) => [name, query.get(prefix + name)]));
    this.race.checked = query.has("race");
    this.fill("a", given(""));
    this.fill("b", { ...this.values("a"), ...given(RIVAL) });
    this.update();
    return query.has("play");
  }
}

function makeInput({ kind, values, low, high, usual }) {
  if (kind === "pick") {
    return element("select", {}, ...values.map(([value, textContent]) => element("option", { value, textContent })));
  }
  if (kind === "wholes") return element("input", { type: "text", pattern: "\\d+(-\\d+)*", autocomplete: "off", inputMode: "numeric", value: usual });
  const step = kind === "whole" ? 1 : "any";
  return element("input", { type: "number", min: low, max: high, step, required: true, value: usual });
}
